-- Calls of the API by user, as beat folds them from the counters in Redis.
create table api_calls (
    user_id bigint not null,
    calls   bigint not null,
    constraint api_calls_pkey primary key (user_id)
) with (fillfactor = 70);

-- Up to which minute (since 1970) they are folded: each is folded once, whoever tries.
create table api_calls_folded (
    one    boolean not null default true,
    minute bigint  not null,
    constraint api_calls_folded_pkey primary key (one),
    constraint api_calls_folded_one_check check (one)
) with (fillfactor = 10);
insert into api_calls_folded (minute) values (0);
