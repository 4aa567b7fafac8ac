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
