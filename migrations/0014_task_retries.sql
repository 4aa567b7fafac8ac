-- Trying an ended task again, what the platform gave up, keys that tasks share, and turns between users
-- (docs/adr/0031-attempts-and-fairness.md).
--
-- accepted, stops writers while the index is built: one pass over the table for each, most are small
-- accepted, refuses rows that the last release may write: it writes none of these columns
-- accepted, drops something: the last release claims by another index than its own until it is replaced

-- A task is tried again once: whoever wants another try tries the newest again. So the tries of a task are a chain, and of
-- two who ask at once one makes the new task. What a workflow makes for itself is its own affair.
create unique index tasks_retried on tasks (retry_of) where retry_of is not null and workflow_id is null;

-- Dead letters, newest first.
create index tasks_dead on tasks (id) where state = 'dead';

-- Running time of the slices before this one, in the same try.
alter table tasks add column spent_s double precision not null default 0;

-- One task of a user that has not ended for each unique key: any end releases it.
create unique index tasks_unique_key on tasks (user_id, unique_key)
    where unique_key is not null and state in ('queued', 'scheduled', 'running', 'retrying');

-- What waits, in groups: a user's tasks without a concurrency key are one, and those of each key. A claim goes from group to
-- group, and a group costs the same however much waits in it.
create index tasks_in_turn on tasks (lane, user_id, coalesce(concurrency_key, ''), claim_order, id, available_at)
    where state in ('queued', 'scheduled', 'retrying');

-- What a claim takes that has slots left, in the order of the lane. What waits for others with its key does not stand in the way.
create index tasks_in_order on tasks (lane, claim_order, id, available_at)
    where state in ('queued', 'scheduled', 'retrying') and concurrency_key is null;
drop index tasks_claimable;

create index tasks_running_by_key on tasks (user_id, concurrency_key)
    where state = 'running' and concurrency_key is not null;

-- How many more tasks of a user with this key may run now. Until the end of the transaction nobody else gets an answer for
-- the key but 0: whoever claims by the answer is alone with it. What is counted is what runs at this moment, not what ran
-- when the calling statement began.
create function concurrency_room(user_id bigint, key text, most integer) returns bigint
    language plpgsql volatile as $$
begin
    if not pg_try_advisory_xact_lock(hashtextextended(user_id || ':' || key, 20250112)) then
        return 0;
    end if;
    return (select greatest(0, most - count(*)) from tasks t
            where t.user_id = $1 and t.concurrency_key = $2 and t.state = 'running');
end $$;

-- A lane that is drained takes nothing new from clients, and runs what it has.
alter table lanes
    add column draining boolean not null default false,
    add column drained_by bigint;

-- Refuses, in the name of a constraint, what clients submit to a lane that is drained.
create function refuse_if_draining(lanes text[]) returns boolean
    language plpgsql stable as $$
begin
    if exists (select from lanes l where l.lane = any ($1) and l.draining) then
        raise exception 'a lane is drained' using errcode = 'check_violation', constraint = 'lanes_draining';
    end if;
    return true;
end $$;

-- Up to when the retries of a type are planned: domain::retry::PACE a second, beyond a first few. One row of each type
-- that has failed.
create table retry_paces (
    task_type text collate "C" not null,
    until     timestamptz not null,
    constraint retry_paces_pkey primary key (task_type)
) with (fillfactor = 50);
