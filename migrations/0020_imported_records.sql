-- What the task type bulk_import writes: a row for each record, whatever it is a record of.
--
-- There is no foreign key to users or tasks, for the reasons of 0002. Users are disabled, never deleted, and so their records stay;
-- they outlive the task that imported them, which database_cleanup deletes as history: they are the user's, not the platform's.
-- Nothing forgets them but an operator, by task or by user.
create table imported_records (
    task_id     uuid        not null,                        -- the task that imported it
    position    integer     not null,                        -- in what was imported, from 1; what was invalid leaves a gap
    user_id     bigint      not null,
    imported_at timestamptz not null,
    data_type   text collate "C" not null,
    record      json        not null,
    constraint imported_records_pkey primary key (task_id, position)
);
-- A user's records of a type, the latest imports first.
create index imported_records_by_user on imported_records (user_id, data_type, task_id desc, position);

-- An import is kept as a whole or not at all: what ends otherwise than completed, whoever ends it, leaves none of the batches that it
-- has written. So nothing is there twice when the task is tried again as a new one. Batches lock their task's row before they write:
-- whoever ends the task sees all of them, and none comes later.
create function forget_unfinished_import() returns trigger language plpgsql as $$
begin
    delete from imported_records r where r.task_id = new.id;
    return null;
end
$$;
-- accepted, changes what writes do: to tasks of a type that the last release does not have
create trigger tasks_forget_unfinished_import after update of state on tasks for each row
    when (new.task_type = 'bulk_import' and new.ended_at is not null and old.ended_at is null and new.state <> 'completed')
    execute function forget_unfinished_import();
