-- Webhooks: what is owed to the URLs that users named, what became of it, and what it was signed with.
--
-- A delivery is a row of the statement that caused it. For tasks a trigger writes it, so that no statement that ends a task can
-- forget it; what ends workflows calls owe_delivery itself. Its id is made of what it tells (source, event, sequence), so there
-- is one id per event whatever the race, and no randomness in SQL.
create table webhook_deliveries (
    id          uuid        not null,                        -- a ULID: the event's time, then a hash of what it tells
    source      uuid        not null,                        -- the task's or workflow's id
    user_id     bigint      not null,
    event_at    timestamptz not null,                        -- when it happened
    planned_at  timestamptz not null,                        -- when its first attempt is due, or that of a replay
    due_at      timestamptz not null,                        -- the next attempt; while one is under way, when it counts as lost
    ended_at    timestamptz,
    fence       bigint      not null default 0,              -- grows with each claim: an outcome of an older one is refused
    sequence    integer     not null,                        -- tells progress events of one source apart
    attempts    smallint    not null default 0,              -- begun
    tries       smallint    not null default 0,              -- begun since planned_at
    status_code smallint,                                    -- of the last answer
    claimed     boolean     not null default false,          -- an attempt is under way
    source_kind text collate "C" not null,
    event       text collate "C" not null,                   -- completed, failed, cancelled, expired, dead, progress
    state       text collate "C" not null default 'owed',    -- domain::webhook::DeliveryState
    url         text        not null,
    error       text,                                        -- of the last attempt, or why there was none
    data        json        not null,                        -- what the body tells, as it was
    constraint webhook_deliveries_pkey primary key (id),
    constraint webhook_deliveries_event_key unique (source, source_kind, event, sequence),
    constraint webhook_deliveries_state_check check (state in ('owed', 'delivered', 'failed', 'skipped', 'superseded')),
    constraint webhook_deliveries_kind_check check (source_kind in ('task', 'workflow')),
    constraint webhook_deliveries_end_check check ((state = 'owed') = (ended_at is null))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
create index webhook_deliveries_due on webhook_deliveries (due_at, id) where state = 'owed';
create index webhook_deliveries_by_user on webhook_deliveries (user_id, id);
create index webhook_deliveries_ended on webhook_deliveries (ended_at) where state <> 'owed';

-- Attempts that came to an end; one that vanished with its notifier leaves a gap in the numbers.
create table webhook_attempts (
    delivery_id uuid        not null,
    at          timestamptz not null,                        -- the end
    ms          integer     not null,                        -- how long it took
    attempt     smallint    not null,
    status_code smallint,
    error       text,
    response    text,                                        -- the beginning of the answer's body, made harmless
    constraint webhook_attempts_pkey primary key (delivery_id, attempt)
);

-- What is known of the URLs of each user.
create table webhook_endpoints (
    user_id         bigint      not null,
    created_at      timestamptz not null,
    failing_since   timestamptz,                             -- the first failure since the last success
    last_success_at timestamptz,
    last_failure_at timestamptz,
    disabled_at     timestamptz,
    failures        integer     not null default 0,          -- since the last success
    url_hash        bytea       not null,                    -- SHA-256
    url             text        not null,
    disabled_reason text collate "C",
    constraint webhook_endpoints_pkey primary key (user_id, url_hash)
) with (fillfactor = 70);

-- What a user's webhooks are signed with: the newest version and, until they expire, those before it.
create table webhook_secrets (
    user_id    bigint      not null,
    created_at timestamptz not null,
    expires_at timestamptz,                                  -- null: the present one
    version    integer     not null,
    sealed     bytea       not null,                         -- HMAC secret and Ed25519 seed; encrypted by the function
    public_key bytea       not null,                         -- Ed25519
    hint       text        not null,                         -- how the secret ends
    constraint webhook_secrets_pkey primary key (user_id, version)
);

-- Owes a delivery, due at once. To be called once per event: in the answer of the statement that causes it, or from a trigger.
-- Null, and nothing owed, without a URL, or when this event was owed before.
create function owe_delivery(
    source_kind text, source uuid, user_id bigint, event text, sequence integer, url text, at timestamptz, data json
) returns uuid language sql volatile as $$
    insert into webhook_deliveries (id, source_kind, source, user_id, event, sequence, url, event_at, planned_at, due_at, data)
    select (lpad(to_hex(floor(extract(epoch from $7) * 1000)::bigint), 12, '0')
            || left(encode(sha256(convert_to(concat_ws(':', $1, $2, $4, $5), 'UTF8')), 'hex'), 20))::uuid,
           $1, $2, $3, $4, $5, $6, $7, $7, $7, $8
    where $6 is not null
    on conflict on constraint webhook_deliveries_event_key do nothing
    returning id
$$;

-- When the worker last told of progress; what the trigger below goes by.
alter table tasks add column progress_at timestamptz;

-- What is owed when a task ends, or tells of progress. Progress is owed at most every ten seconds for a task
-- (domain::webhook::PROGRESS_EVERY): what comes sooner takes the place of the delivery that waits, so the last word is always
-- told. Progress that was not told when the task ends is not told any more.
create function owe_task_delivery() returns trigger language plpgsql as $$
declare
    told json;
    latest record;
begin
    told := json_build_object(
        'task_type', new.task_type, 'status', new.state, 'priority', new.priority, 'attempt', new.attempt,
        'created_at', new.created_at, 'started_at', new.started_at, 'ended_at', new.ended_at,
        'workflow_id', new.workflow_id, 'retry_of', new.retry_of, 'error', new.error, 'progress', new.progress,
        'result', case when new.ended_at is not null and octet_length(new.result::text) <= 16384 then new.result end);
    if new.ended_at is not null then
        update webhook_deliveries d set state = 'superseded', ended_at = new.ended_at
        where d.source = new.id and d.source_kind = 'task' and d.event = 'progress' and d.state = 'owed' and not d.claimed;
        perform owe_delivery('task', new.id, new.user_id, new.state, 0,
                             new.callbacks ->> case new.state when 'completed' then 'completion_url' else 'error_url' end,
                             new.ended_at, told);
        return null;
    end if;
    if new.callbacks ->> 'progress_url' is null then
        return null;
    end if;
    update webhook_deliveries d set data = told, event_at = new.progress_at
    where d.source = new.id and d.source_kind = 'task' and d.event = 'progress' and d.state = 'owed' and d.attempts = 0;
    if found then
        return null;
    end if;
    select d.sequence, d.planned_at into latest from webhook_deliveries d
    where d.source = new.id and d.source_kind = 'task' and d.event = 'progress' order by d.sequence desc limit 1;
    update webhook_deliveries d set state = 'superseded', ended_at = new.progress_at
    where d.source = new.id and d.source_kind = 'task' and d.event = 'progress' and d.state = 'owed' and not d.claimed;
    perform owe_delivery('task', new.id, new.user_id, 'progress', coalesce(latest.sequence + 1, 0),
                         new.callbacks ->> 'progress_url', new.progress_at, told);
    update webhook_deliveries d
    set planned_at = latest.planned_at + interval '10 seconds', due_at = latest.planned_at + interval '10 seconds'
    where d.source = new.id and d.source_kind = 'task' and d.event = 'progress' and d.sequence = latest.sequence + 1
      and d.planned_at < latest.planned_at + interval '10 seconds';
    return null;
end
$$;

-- accepted, changes what writes do: what the last release writes is owed as well, and delivered by the release that knows how
create trigger tasks_owe_delivery after update on tasks for each row
    when (new.callbacks is not null
          and (new.ended_at is not null and old.ended_at is null
               or new.ended_at is null and new.progress_at is distinct from old.progress_at))
    execute function owe_task_delivery();
