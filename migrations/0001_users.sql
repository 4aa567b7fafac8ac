-- Accounts. User names and addresses are kept as they were written and are unique without regard to case.
create table users (
    id                  bigint generated always as identity,
    username            text        not null,
    email               text        not null,
    full_name           text,
    department          text,
    role                text        not null default 'user',
    permissions         text[]      not null default '{}',   -- personal grants, beyond what the role brings
    status              text        not null default 'active',
    email_verified      boolean     not null default false,
    two_factor_enabled  boolean     not null default false,
    password_hash       text        not null,
    preferences         jsonb       not null default '{}',
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    last_login          timestamptz,
    login_count         bigint      not null default 0,
    password_changed_at timestamptz not null,
    version             bigint      not null default 1,      -- grows with each change of the profile: the ETag
    auth_epoch          bigint      not null default 0,      -- grows when every session is to end
    constraint users_pkey primary key (id),
    constraint users_role_check check (role in ('admin', 'operator', 'user')),
    constraint users_status_check check (status in ('active', 'disabled')),
    constraint users_preferences_check check (jsonb_typeof(preferences) = 'object')
) with (fillfactor = 90);

create unique index users_username_key on users (lower(username));
create unique index users_email_key on users (lower(email));

-- What was done by whom, for those who must be able to find out. Rows are only ever added.
create table audit_log (
    id         bigint generated always as identity,
    at         timestamptz not null,
    actor_id   bigint,                                       -- null: the platform itself
    action     text        not null,
    target     text        not null,
    detail     jsonb       not null default '{}',
    request_id text,
    constraint audit_log_pkey primary key (id)
);
create index audit_log_by_target on audit_log (target, id desc);
