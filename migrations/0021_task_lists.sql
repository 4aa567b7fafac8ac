-- Lists of tasks by state and by type, which cost the same before any history (docs/adr/0040-task-lists.md).
--
-- accepted, stops writers while the index is built: one pass over the table for each
-- accepted, drops something: the last release finds what the dropped indexes gave in the new ones

-- A user's tasks in a state, newest first, and how many of them run. What has completed is most of a history: a list of that is
-- the user's list, with a few passed over.
create index tasks_by_user_state on tasks (user_id, state, id) where state <> 'completed';

-- Everybody's, likewise. The reaper, the statistics and the list of workers read what runs, whoever looks for dead letters what
-- is dead.
create index tasks_by_state on tasks (state, id) where state <> 'completed';
drop index tasks_running;
drop index tasks_dead;

-- A user's tasks of a type, newest first.
create index tasks_by_user_type on tasks (user_id, task_type, id);
