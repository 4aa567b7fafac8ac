-- What the task type database_cleanup deletes, kept if it is asked to.
--
-- A row for each task with its events, and for each workflow with its steps: `copy (select line from cleanup_backups) to ...`
-- writes JSON lines. It is written by the statement that deletes, so that nothing is deleted that is not here, and nothing is here
-- that was not deleted. Nothing reads it and nothing forgets it but an operator.
create table cleanup_backups (
    source     uuid        not null,                         -- the task's or workflow's id
    cleaned_by uuid        not null,                         -- the task that did it
    cleaned_at timestamptz not null,
    kind       text collate "C" not null,
    line       json        not null,
    constraint cleanup_backups_pkey primary key (source, kind),
    constraint cleanup_backups_kind_check check (kind in ('task', 'workflow'))
);

-- Have all later tries of a task ended before then? Where there is none, yes. A task is kept as long as one of them.
create function tries_ended(task uuid, before timestamptz) returns boolean language sql stable as $$
    with recursive later as (
        select t.id, t.ended_at from tasks t where t.retry_of = $1 and t.workflow_id is null
        union all
        select t.id, t.ended_at from later l join tasks t on t.retry_of = l.id and t.workflow_id is null
    )
    select not exists (select from later where ended_at is null or ended_at >= $2)
$$;
