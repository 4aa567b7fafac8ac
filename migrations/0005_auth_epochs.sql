-- Raised epochs that DynamoDB has not confirmed yet: written with the raise, deleted once the epoch is out. Whoever
-- raises publishes at once; beat publishes what is still here.
create table auth_epoch_outbox (
    user_id    bigint      not null,
    auth_epoch bigint      not null,
    since      timestamptz not null,
    constraint auth_epoch_outbox_pkey primary key (user_id)
) with (fillfactor = 70);
