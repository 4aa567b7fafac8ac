-- Schedules, and what became of the times at which they were due.
--
-- What a run is made of stands in columns as a task's does. next_at is the first time that nothing has been decided about, null
-- for a schedule that is paused or completed: beat reads what is due from its index. Beat changes next_at, decided_until and
-- iterations, and nothing else; version grows with what their owner changes.
create table schedules (
    id                  uuid        not null,                -- a ULID
    user_id             bigint      not null,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,                -- by their owner
    next_at             timestamptz,
    decided_until       timestamptz,                         -- the last time that was decided about
    anchor              timestamptz,                         -- of an interval: where it begins
    once_at             timestamptz,
    version             bigint      not null default 1,
    interval_s          integer,
    expires_in_s        integer,
    timeout_s           integer     not null,
    retry_delay_s       integer     not null,
    max_iterations      integer,
    iterations          integer     not null default 0,
    max_retries         smallint    not null,
    priority            smallint    not null,
    place               smallint    not null,                -- among the user's schedules: what bounds their number
    exponential_backoff boolean     not null,
    active              boolean     not null,
    kind                text collate "C" not null,
    overlap             text collate "C" not null,
    catch_up            text collate "C" not null,
    dst                 text collate "C" not null,
    lane                text collate "C" not null,
    task_type           text collate "C" not null,
    expression          text,
    timezone            text,
    resources           json,
    callbacks           json,
    input               json        not null,
    constraint schedules_pkey primary key (id),
    constraint schedules_place_key unique (user_id, place),
    constraint schedules_place_check check (place between 1 and 100),
    constraint schedules_kind_check check (
        (kind = 'cron') = (expression is not null and timezone is not null)
        and (kind = 'interval') = (interval_s is not null and anchor is not null)
        and (kind = 'once') = (once_at is not null) and kind in ('cron', 'interval', 'once')),
    constraint schedules_interval_check check (interval_s >= 60),
    constraint schedules_policy_check check (
        overlap in ('skip', 'queue', 'allow') and catch_up in ('none', 'one', 'all') and dst in ('skip', 'shift')),
    constraint schedules_lane_check check (lane in ('high', 'default', 'low', 'long')),
    constraint schedules_priority_check check (priority between 1 and 10),
    constraint schedules_next_check check (active or next_at is null)
) with (fillfactor = 85);
create index schedules_due on schedules (next_at, id) where next_at is not null;
create index schedules_by_user on schedules (user_id, id);

-- The key is what makes one run of each time.
create table schedule_runs (
    schedule_id uuid        not null,
    nominal_at  timestamptz not null,                        -- of several that were missed in a row, the last one
    decided_at  timestamptz not null,
    task_id     uuid,                                        -- null: it was left out
    times       integer     not null,
    manual      boolean     not null,
    reason      text collate "C",                            -- why it was left out
    constraint schedule_runs_pkey primary key (schedule_id, nominal_at),
    constraint schedule_runs_schedule_fkey foreign key (schedule_id) references schedules on delete cascade,
    constraint schedule_runs_reason_check check ((task_id is null) = (reason is not null)),
    constraint schedule_runs_reason_known_check check (reason in ('missed', 'overlap'))
);
create index schedule_runs_fired on schedule_runs (schedule_id, nominal_at) where task_id is not null;
