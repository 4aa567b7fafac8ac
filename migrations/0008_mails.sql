-- Mail owed to users: written with what causes it, sent right after the commit by whoever wrote it, and by beat when that
-- did not work. Kept for some days once it has ended. What is secret in a mail is in none of these tables: a token is made
-- when its mail is sent, and its SHA-256 is kept.
create table mails (
    id         uuid        not null,                         -- a ULID
    user_id    bigint      not null,
    created_at timestamptz not null,
    due_at     timestamptz not null,                         -- beat sends it from then on
    until      timestamptz not null,                         -- not worth sending afterwards
    ended_at   timestamptz,
    attempts   smallint    not null default 0,               -- begun
    kind       text collate "C" not null,                    -- domain::mail::MailKind
    state      text collate "C" not null default 'owed',
    recipient  text        not null,                         -- the address as it was when the mail was caused
    name       text        not null,                         -- how the user is addressed
    message_id text,                                         -- SES's
    error      text,                                         -- why the last attempt failed, or why it was given up
    constraint mails_pkey primary key (id),
    constraint mails_state_check check (state in ('owed', 'sent', 'given_up')),
    constraint mails_end_check check ((state = 'owed') = (ended_at is null))
) with (fillfactor = 80);
create index mails_owed on mails (due_at) where state = 'owed';
create index mails_ended on mails (ended_at) where state <> 'owed';
create index mails_by_user on mails (user_id, kind, created_at);

-- Owes a mail. To be called in the answer of the statement that causes it, for there it is evaluated once per row.
create function owe_mail(
    id uuid, user_id bigint, kind text, recipient text, name text, at timestamptz, head_start float8, worth float8
) returns uuid language sql volatile as $$
    insert into mails (id, user_id, kind, recipient, name, created_at, due_at, until)
    values ($1, $2, $3, $4, $5, $6, $6 + make_interval(secs => $7), $6 + make_interval(secs => $8))
    returning id
$$;

-- The one token of each purpose that is good for a user: a newer one takes the place of an older one, and none is left once
-- it is used. It counts only while the account has this address and this password.
create table mail_tokens (
    user_id             bigint      not null,
    purpose             text collate "C" not null,
    hash                bytea       not null,                -- SHA-256
    address             text        not null,
    password_changed_at timestamptz not null,
    expires_at          timestamptz not null,
    constraint mail_tokens_pkey primary key (user_id, purpose)
);
create unique index mail_tokens_hash_key on mail_tokens (hash);

-- How often a mailbox was lately written to on somebody's demand. The key is the SHA-256 of purpose and address: an address
-- without an account has a row as one with an account has, and the row does not say which address it is.
create table mail_limits (
    key        bytea       not null,
    asked_at   timestamptz not null,
    hour_began timestamptz not null,
    in_hour    smallint    not null,
    constraint mail_limits_pkey primary key (key)
) with (fillfactor = 70);
create index mail_limits_by_time on mail_limits (asked_at);

-- Takes one mail of this purpose out of what a mailbox may be sent, one a minute and five an hour; false when that is used
-- up. A statement that calls it must use the answer, or it is not called.
create function mail_allowed(purpose text, address text, at timestamptz) returns boolean
    language sql volatile
begin atomic
    with taken as (
        insert into mail_limits as l (key, asked_at, hour_began, in_hour)
        values (sha256(convert_to(purpose || ':' || lower(address), 'UTF8')), at, at, 1)
        on conflict (key) do update set
            asked_at = excluded.asked_at,
            hour_began = case when l.hour_began <= excluded.asked_at - interval '1 hour'
                              then excluded.asked_at else l.hour_began end,
            in_hour = case when l.hour_began <= excluded.asked_at - interval '1 hour' then 1 else l.in_hour + 1 end
        where l.asked_at <= excluded.asked_at - interval '1 minute'
          and (l.in_hour < 5 or l.hour_began <= excluded.asked_at - interval '1 hour')
        returning 1
    )
    select exists (select from taken);
end;
