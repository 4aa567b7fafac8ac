-- Lists of tasks by state and by type, which cost the same before any history (docs/adr/0040-task-lists.md).
--
-- accepted, stops writers while the index is built: one pass over the table for each

-- A user's tasks in a state, newest first. What has completed is most of a history: a list of that is the user's list, with a few
-- passed over. What runs is little, and has an index of its own (tasks_running): there entries of equal keys take the
-- places of dead ones, while in the order of ids a claim would have to pass all that ran since the last vacuum.
create index tasks_by_user_state on tasks (user_id, state, id) where state not in ('completed', 'running');

-- Everybody's, likewise.
create index tasks_by_state on tasks (state, id) where state not in ('completed', 'running');

-- A user's tasks of a type, newest first.
create index tasks_by_user_type on tasks (user_id, task_type, id);
