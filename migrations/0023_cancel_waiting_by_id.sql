-- cancel_waiting: that a task waits is said without its state. With it, and at a moment at which little waited when the table was
-- analysed last, the index of everything that waits was gone through, instead of the tasks that are named
-- (tests/it/store/workflows.rs).

create or replace function cancel_waiting(ids uuid[], why text, at timestamptz) returns setof uuid language sql volatile as $$
    with target as (
        select id from tasks where id = any ($1) and ended_at is null and lease_until is null order by id for update
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
