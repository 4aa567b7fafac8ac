-- What ties tasks to others: the one that a task tries again, its place in a workflow, and the keys that it shares.
--
-- A step that waits for others is a row like any other, due at domain::task::UNRELEASED (the end of the year 9999) and
-- without a doorbell: everything that is told of a task, cancelling included, works for it.
alter table tasks
    add column retry_of          uuid,
    add column workflow_id       uuid,
    add column step              integer,                    -- from 0
    add column unique_key        text collate "C",
    add column concurrency_key   text collate "C",
    add column concurrency_limit smallint;
-- accepted, stops writers while the index is built: one pass over the table, no row has the column yet
create index tasks_by_workflow on tasks (workflow_id, step) where workflow_id is not null;
