-- Statistics at constant cost: submits and ends append a delta in their own transaction, which waits for nobody; beat
-- folds the deltas into totals, hours and a histogram. A reader adds up the totals and the few deltas not folded yet.
-- user_id 0 stands for all users together.

-- Durations are counted in the buckets of domain::histogram: eight per doubling, from a millisecond up.
create function duration_bucket(seconds double precision) returns smallint
    language sql immutable parallel safe
    return least(239, greatest(0, floor(8 * ln(greatest(seconds, 0.001) / 0.001) / ln(2::double precision))))::smallint;

create table stat_deltas (
    id        bigint generated always as identity,
    user_id   bigint      not null,
    hour      timestamptz not null,
    submitted integer     not null default 0,
    completed integer     not null default 0,
    failed    integer     not null default 0,
    cancelled integer     not null default 0,
    expired   integer     not null default 0,
    dead      integer     not null default 0,
    seconds   double precision not null default 0,           -- of the attempts that ended in completed or failed
    buckets   smallint[]  not null default '{}',             -- and the bucket of each of them
    task_type text collate "C" not null,
    constraint stat_deltas_pkey primary key (id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_insert_threshold = -1);

create table stat_totals (
    user_id   bigint not null,
    task_type text collate "C" not null,
    submitted bigint not null default 0,
    completed bigint not null default 0,
    failed    bigint not null default 0,
    cancelled bigint not null default 0,
    expired   bigint not null default 0,
    dead      bigint not null default 0,
    timed     bigint not null default 0,                     -- how many durations seconds adds up
    seconds   double precision not null default 0,
    constraint stat_totals_pkey primary key (user_id, task_type)
) with (fillfactor = 70);

create table stat_hourly (
    user_id      bigint      not null,
    hour         timestamptz not null,
    submitted    bigint      not null default 0,
    completed    bigint      not null default 0,
    failed       bigint      not null default 0,
    ended        bigint      not null default 0,             -- in any terminal state
    peak_running integer     not null default 0,             -- the most that beat saw running at once
    constraint stat_hourly_pkey primary key (user_id, hour)
) with (fillfactor = 70);

create table stat_durations (
    user_id bigint   not null,
    bucket  smallint not null,
    n       bigint   not null default 0,
    constraint stat_durations_pkey primary key (user_id, bucket),
    constraint stat_durations_bucket_check check (bucket between 0 and 239)
) with (fillfactor = 70);
