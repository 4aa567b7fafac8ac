-- Tasks, what happened to them, and what is to be said to the queues about them.
--
-- A task's row is written three times in an ordinary life: submit, claim, finish. What keeps that cheap:
--
-- * State and lane are text with a CHECK, collation "C": an operator reads them in psql, a comparison is a memcmp, and
--   a new state is one ALTER. A smallint would save some ten bytes a row and make every query by hand a riddle; an enum
--   type would cost each new connection a round trip to look its number up.
-- * The small columns come first, the JSON last. JSON is of type json, not jsonb: nobody searches in it, it goes back
--   to the client as it came (order, repeated and odd keys, \u0000), and storing it needs no conversion. What makes a
--   row larger than 2 kB moves to TOAST, and an update that does not touch such a column copies an 18 byte pointer, not
--   the value: claim and finish never rewrite a large input. Below that, in line is cheaper than a second table.
-- * The indexes whose predicate names the state cost each change of state new entries (no HOT), so there are only
--   two of them, and nothing that a renewal changes (lease_until, progress, checkpoint) is in any index: renewals stay
--   HOT, for which the fill factor leaves room.
-- * There is no foreign key to users and none from events and outbox to tasks. Users are disabled, never deleted, and
--   events and outbox rows are written only by the statement that writes their task. Each key would cost a look-up per
--   row and a share lock on the user's row, which concurrent submits of one user would turn into MultiXacts.
create table tasks (
    id                  uuid        not null,                -- a ULID: later ids sort later, inserts go to the right edge
    user_id             bigint      not null,
    created_at          timestamptz not null,
    available_at        timestamptz not null,                -- not claimable before
    claim_order         timestamptz not null,                -- domain::task::claim_order(available_at, priority)
    fence               bigint      not null default 0,      -- the fencing number: grows with each claim
    lease_until         timestamptz,
    started_at          timestamptz,                         -- the first attempt began
    attempt_at          timestamptz,                         -- the latest attempt began
    ended_at            timestamptz,
    expires_at          timestamptz,                         -- not started after
    scheduled_for       timestamptz,                         -- as the client asked
    timeout_s           integer     not null,                -- of one attempt
    retry_delay_s       integer     not null,
    max_retries         smallint    not null,
    priority            smallint    not null,
    attempt             smallint    not null default 0,      -- attempts begun
    failures            smallint    not null default 0,      -- attempts that ended in failure
    lost_leases         smallint    not null default 0,      -- attempts that vanished
    exponential_backoff boolean     not null,
    cancel_requested    boolean     not null default false,
    lane                text collate "C" not null,
    state               text collate "C" not null,
    task_type           text collate "C" not null,
    worker_id           text,
    worker_host         text,
    request_id          text,
    traceparent         text,
    error               text,
    resources           json,
    callbacks           json,
    progress            json,
    checkpoint          json,
    input               json        not null,
    result              json,
    constraint tasks_pkey primary key (id),
    constraint tasks_state_check check (state in (
        'queued', 'scheduled', 'running', 'retrying', 'completed', 'failed', 'cancelled', 'expired', 'dead')),
    constraint tasks_lane_check check (lane in ('high', 'default', 'low', 'long')),
    constraint tasks_priority_check check (priority between 1 and 10),
    constraint tasks_lease_check check ((state = 'running') = (lease_until is not null)),
    constraint tasks_end_check check (
        (state in ('completed', 'failed', 'cancelled', 'expired', 'dead')) = (ended_at is not null))
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- A user's list, read backwards: newest first.
create index tasks_by_user on tasks (user_id, id);

-- What a claim reads, in the order in which it takes. available_at is a key column, not an included one, so that rows
-- which are not due yet are passed over inside the index, without a visit to the table.
create index tasks_claimable on tasks (lane, claim_order, id, available_at)
    where state in ('queued', 'scheduled', 'retrying');

-- What runs now: as small as the workers' capacity. The reaper, the statistics and the list of workers read all of it.
create index tasks_running on tasks (user_id) where state = 'running';

create table task_events (
    id      bigint generated always as identity,
    task_id uuid        not null,
    at      timestamptz not null,
    attempt smallint    not null,
    state   text collate "C" not null,
    message text        not null,
    constraint task_events_pkey primary key (task_id, id)
) with (autovacuum_vacuum_insert_scale_factor = 0.05);

-- Doorbells owed to the lanes' queues, one per claimable task: written with the state that makes the task claimable,
-- deleted by the claim. A row that is still here some time after ring_at means that the doorbell was lost, or is stuck.
create table outbox (
    task_id uuid        not null,
    due_at  timestamptz not null,                            -- the task's available_at
    ring_at timestamptz not null,                            -- beat rings (again) from then on
    rings   smallint    not null default 0,                  -- how often beat has rung
    lane    text collate "C" not null,
    constraint outbox_pkey primary key (task_id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
create index outbox_by_ring on outbox (ring_at);

create table lanes (
    lane      text collate "C" not null,
    paused    boolean     not null default false,
    paused_at timestamptz,
    paused_by bigint,
    constraint lanes_pkey primary key (lane),
    constraint lanes_lane_check check (lane in ('high', 'default', 'low', 'long'))
);
insert into lanes (lane) values ('high'), ('default'), ('low'), ('long');
