-- Deliveries by state in lists that cost the same before any history, and endpoints that are forgotten without a scan
-- (docs/adr/0033-webhooks.md).
--
-- accepted, stops writers while the index is built: one pass over the table for each, of which a month is kept

-- A user's deliveries in a state, newest first. What was delivered is most of them: a list of that is the user's list, with a few
-- passed over.
create index webhook_deliveries_by_user_state on webhook_deliveries (user_id, state, id) where state <> 'delivered';

-- Everybody's, likewise. What is owed is not in it: each attempt would write an entry, for a list that hardly anybody may ask for.
create index webhook_deliveries_by_state on webhook_deliveries (state, id) where state not in ('owed', 'delivered');

-- When an endpoint was last heard of. One that is disabled stays: forgotten, it would be enabled.
create index webhook_endpoints_heard on webhook_endpoints (greatest(created_at, last_success_at, last_failure_at))
    where disabled_at is null;
