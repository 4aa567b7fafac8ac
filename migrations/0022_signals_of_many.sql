-- The ends of many tasks signal their workflows in one statement (docs/adr/0035-workflows.md).
--
-- accepted, changes what writes do: what the last release writes has no mark, and is signalled as before

-- Set by the statement that ends a task of a workflow and writes the signal itself, one insert for all. A trigger for each row
-- took a quarter of that statement's time. Whoever ends a task and does not say so is still signalled for.
alter table tasks add column signalled boolean;

create or replace trigger tasks_signal_workflow after update of state on tasks for each row
    when (new.workflow_id is not null and new.ended_at is not null and old.ended_at is null and new.signalled is null)
    execute function signal_workflow();
