//! Rules over all rows at once: what the statement answers is broken.

/// One text for each thing that should not be.
pub const RULES: &str = r"
with waiting as (
    select * from tasks where state in ('queued', 'scheduled', 'retrying') and available_at < '9999-12-30'
), counted as (
    select user_id, count(*) as submitted, count(*) filter (where state = 'completed') as completed,
           count(*) filter (where state = 'failed') as failed, count(*) filter (where state = 'cancelled') as cancelled,
           count(*) filter (where state = 'expired') as expired, count(*) filter (where state = 'dead') as dead
    from tasks group by user_id
), told as (
    select user_id, sum(submitted) as submitted, sum(completed) as completed, sum(failed) as failed,
           sum(cancelled) as cancelled, sum(expired) as expired, sum(dead) as dead
    from (select user_id, submitted, completed, failed, cancelled, expired, dead from stat_totals where user_id <> 0
          union all select user_id, submitted, completed, failed, cancelled, expired, dead from stat_deltas) s
    group by user_id
), steps as (
    select s.workflow_id, s.step, s.generation, t.* from workflow_steps s
    join (select id, state, available_at, ended_at from tasks) t on t.id = s.task_id
)
select 'a task waits without a doorbell: ' || id from waiting where id not in (select task_id from outbox)
union all
select 'a doorbell is owed for nothing: ' || task_id from outbox where task_id not in (select id from waiting)
union all
select 'a doorbell is owed for another time: ' || o.task_id from outbox o join waiting w on w.id = o.task_id
where o.due_at <> w.available_at or o.lane <> w.lane
union all
select 'too many run with the key ' || concurrency_key from tasks
where state = 'running' and concurrency_key is not null
group by user_id, concurrency_key having count(*) > max(concurrency_limit)
union all
select 'two have the unique key ' || unique_key from tasks where unique_key is not null and ended_at is null
group by user_id, unique_key having count(*) > 1
union all
select 'a task runs in attempt ' || attempt || ' under the fencing number ' || fence || ': ' || id from tasks
where state = 'running' and (fence < attempt or worker_id is null or attempt_at is null)
union all
select 'statistics of user ' || coalesce(c.user_id, t.user_id) || ' say ' || coalesce(t::text, 'nothing') || ', there are '
       || coalesce(c::text, 'none')
from counted c full join told t using (user_id)
where (c.submitted, c.completed, c.failed, c.cancelled, c.expired, c.dead)
      is distinct from (t.submitted, t.completed, t.failed, t.cancelled, t.expired, t.dead)
union all
select 'totals of all say ' || a.n || ', those of each ' || e.n
from (select sum(submitted + completed + failed + cancelled + expired + dead) as n from stat_totals where user_id = 0) a,
     (select sum(submitted + completed + failed + cancelled + expired + dead) as n from stat_totals where user_id <> 0) e
where a.n is distinct from e.n
union all
select 'a workflow counts ' || w.unfinished || ' steps that have not ended: ' || w.id from workflows w
where w.state = 'running'
  and w.unfinished <> (select count(*) from steps s where s.workflow_id = w.id and s.ended_at is null)
                      + (select count(*) from workflow_signals g where g.workflow_id = w.id)
union all
select 'a workflow has ended and a step has not: ' || w.id from workflows w join steps s on s.workflow_id = w.id
where w.state <> 'running' and s.ended_at is null
union all
select 'a workflow has ended ' || w.state || ' with ' || w.unsuccessful || ' steps that did not complete: ' || w.id
from workflows w
where w.state <> 'running' and ((w.state = 'completed')
      <> not exists (select from steps s where s.workflow_id = w.id and s.state <> 'completed'))
union all
select 'a step was released before its time: ' || a.id
from workflow_edges e join steps b on b.workflow_id = e.workflow_id and b.step = e.before_step
    join steps a on a.workflow_id = e.workflow_id and a.step = e.after_step
where a.available_at < '9999-12-30' and (b.ended_at is null or (e.needs_success and b.state <> 'completed'))
union all
select 'the end of a workflow is not told: ' || w.id from workflows w
where w.state <> 'running' and w.callbacks is not null
  and not exists (select from webhook_deliveries d
                  where d.source = w.id and d.source_kind = 'workflow' and d.sequence = w.generation and d.event = w.state)
union all
select 'the ends of a workflow are told too often: ' || w.id from workflows w
where w.generation - (w.state = 'running')::int
      < (select count(*) from webhook_deliveries d where d.source = w.id and d.source_kind = 'workflow')
union all
select 'the end of a task is not told: ' || t.id from tasks t
where t.ended_at is not null and t.callbacks is not null
  and 1 <> (select count(*) from webhook_deliveries d
            where d.source = t.id and d.source_kind = 'task' and d.event <> 'progress')
union all
select 'under key ' || k.key || ' something was made ' || count(*) || ' times'
from (select distinct input ->> 'key' as key, coalesce(workflow_id, id) as made from tasks
      where retry_of is null and input ->> 'key' is not null) k
group by k.key having count(*) > 1
union all
select 'a run has no task: ' || r.schedule_id || ' at ' || r.nominal_at from schedule_runs r
where r.task_id is not null and not exists (select from tasks t where t.id = r.task_id)
";
