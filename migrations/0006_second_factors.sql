-- Second factors (TOTP, RFC 6238). The secret is encrypted by the function; the database never sees it. A row without
-- confirmed_at was set up and counts for nothing yet; users.two_factor_enabled says whether one is asked for.
create table second_factors (
    user_id      bigint      not null,
    created_at   timestamptz not null,
    confirmed_at timestamptz,
    last_step    bigint      not null default -1,            -- the latest time step whose code was used: each is good once
    secret       bytea       not null,
    constraint second_factors_pkey primary key (user_id)
) with (fillfactor = 80);

-- What opens an account when the authenticator is lost: SHA-256 of 125 random bits, each good once.
create table recovery_codes (
    user_id bigint not null,
    hash    bytea  not null,
    used_at timestamptz,
    constraint recovery_codes_pkey primary key (user_id, hash)
) with (fillfactor = 80);

-- What changes an account is one statement, and says in it who did it and which epoch it owes. Both are functions, to be
-- called in that statement's answer, for there each is evaluated once per row that was changed.

-- Adds an entry to the audit log. Answers with its number.
create function keep_audit(at timestamptz, actor_id bigint, action text, target text, detail jsonb, request_id text)
returns bigint language sql volatile as $$
    insert into audit_log (at, actor_id, action, target, detail, request_id)
    values ($1, $2, $3, $4, $5, $6) returning id
$$;

-- Notes that a raised epoch is owed to DynamoDB. Answers with the epoch that is.
create function owe_epoch(user_id bigint, auth_epoch bigint, since timestamptz)
returns bigint language sql volatile as $$
    insert into auth_epoch_outbox as owed (user_id, auth_epoch, since) values ($1, $2, $3)
    on conflict (user_id) do update set auth_epoch = greatest(owed.auth_epoch, excluded.auth_epoch)
    returning auth_epoch
$$;
