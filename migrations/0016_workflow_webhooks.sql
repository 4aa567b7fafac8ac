-- The end of a workflow is told once for each of its generations, whoever took it there: what it owes is written by the statement
-- that ends it (docs/adr/0033-webhooks.md).
create function owe_workflow_delivery() returns trigger language plpgsql as $$
begin
    perform owe_delivery(
        'workflow', new.id, new.user_id, new.state, new.generation,
        new.callbacks ->> case new.state when 'completed' then 'completion_url' else 'error_url' end, new.ended_at,
        json_build_object('kind', new.kind, 'name', new.name, 'status', new.state, 'generation', new.generation,
                          'total_tasks', new.total, 'unsuccessful_tasks', new.unsuccessful, 'created_at', new.created_at,
                          'completed_at', new.ended_at));
    return null;
end
$$;
-- accepted, changes what writes do: only those to workflows, of which the last release knows nothing
create trigger workflows_owe_delivery after update of state on workflows for each row
    when (new.callbacks is not null and new.ended_at is not null and old.ended_at is null)
    execute function owe_workflow_delivery();
