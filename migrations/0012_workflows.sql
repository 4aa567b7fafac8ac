-- Workflows: tasks that are accepted together, wait for each other, and end together.
--
-- A step is an ordinary task (tasks.workflow_id, tasks.step); one that waits for others is due at the end of the year 9999
-- until it is released. The end of a task of a workflow, whatever statement wrote it, leaves a signal in the same
-- transaction. Whoever wrote it then advances the workflow: reads signals and what depends on them, decides
-- (domain::workflow), and commits under the version that it read, so that of several who advance at once one wins and the
-- others look again. A signal whose writer died is taken up by beat. Steps never take the workflow's lock when they end,
-- so ten thousand of them that end at once do not queue up behind each other.
create table workflows (
    id               uuid        not null,                   -- a ULID
    user_id          bigint      not null,
    created_at       timestamptz not null,
    ended_at         timestamptz,
    version          bigint      not null default 0,         -- grows with each change of what follows
    total            integer     not null,                   -- steps
    unfinished       integer     not null,                   -- steps that have not ended, as far as signals were heard
    unsuccessful     integer     not null default 0,         -- steps of this generation that ended other than completed
    generation       smallint    not null default 1,         -- 1, and one more with each retry
    stopping         boolean     not null default false,     -- a step failed under stop_on_error
    cancel_requested boolean     not null default false,
    kind             text collate "C" not null,
    mode             text collate "C" not null,
    failure_strategy text collate "C" not null,
    state            text collate "C" not null,
    request_id       text,
    traceparent      text,
    name             text        not null,
    callbacks        json,
    constraint workflows_pkey primary key (id),
    constraint workflows_kind_check check (kind in ('batch', 'chain')),
    constraint workflows_mode_check check (mode in ('parallel', 'sequential', 'graph')),
    constraint workflows_strategy_check check (failure_strategy in ('stop_on_error', 'continue')),
    constraint workflows_state_check check (state in ('running', 'completed', 'failed', 'cancelled')),
    constraint workflows_end_check check ((state = 'running') = (ended_at is null))
) with (fillfactor = 70);
create index workflows_by_user on workflows (user_id, id);

create table workflow_steps (
    workflow_id uuid     not null,
    task_id     uuid     not null,                           -- of the latest generation in which the step ran
    step        integer  not null,                           -- from 0
    waits_for   integer  not null,                           -- steps before it that have not let it go yet
    generation  smallint not null,                           -- in which task_id was accepted
    takes       boolean  not null,                           -- gets the results of steps before it
    name        text,
    constraint workflow_steps_pkey primary key (workflow_id, step)
) with (fillfactor = 90);

create table workflow_edges (
    workflow_id   uuid    not null,
    before_step   integer not null,
    after_step    integer not null,
    needs_success boolean not null,                          -- else the end of the step before will do, whatever it is
    gives         boolean not null,                          -- the result of the step before goes into the input of the one after
    constraint workflow_edges_pkey primary key (workflow_id, before_step, after_step)
);
create index workflow_edges_by_after on workflow_edges (workflow_id, after_step);

create table workflow_signals (
    id          bigint generated always as identity,
    workflow_id uuid        not null,
    task_id     uuid        not null,
    at          timestamptz not null,
    step        integer     not null,
    state       text collate "C" not null,
    constraint workflow_signals_pkey primary key (workflow_id, id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

create function signal_workflow() returns trigger language plpgsql as $$
begin
    insert into workflow_signals (workflow_id, step, task_id, state, at)
    values (new.workflow_id, new.step, new.id, new.state, new.ended_at);
    return null;
end
$$;
-- accepted, changes what writes do: only those to tasks of a workflow, of which the last release writes none
create trigger tasks_signal_workflow after update of state on tasks for each row
    when (new.workflow_id is not null and new.ended_at is not null and old.ended_at is null)
    execute function signal_workflow();

-- Cancels those of these tasks that wait, whatever for, and answers which they were: states, events, doorbells and
-- statistics. Rows are locked in the order of their ids, so that two who cancel the same tasks do not block each other.
create function cancel_waiting(ids uuid[], why text, at timestamptz) returns setof uuid language sql volatile as $$
    with target as (
        select id from tasks where id = any ($1) and state in ('queued', 'scheduled', 'retrying') order by id for update
    ), ended as (
        update tasks t set state = 'cancelled', ended_at = $3, error = $2, cancel_requested = true
        where t.id = any (array(select id from target))
        returning t.id, t.user_id, t.task_type, t.attempt
    ), event as (
        insert into task_events (task_id, at, state, attempt, message)
        select id, $3, 'cancelled', attempt, 'Task cancelled: ' || $2 from ended
    ), doorbell as (
        delete from outbox where task_id = any (array(select id from ended))
    ), counted as (
        insert into stat_deltas (user_id, task_type, hour, cancelled)
        select user_id, task_type, date_trunc('hour', $3, 'UTC'), count(*) from ended group by 1, 2
    )
    select id from ended
$$;
