-- An address is an account's once its owner has verified it. Before that anybody may say that it is theirs: refusing them would
-- tell whoever asks that it has an account (docs/adr/0030-verified-addresses.md).
--
-- accepted, refuses rows that the last release may write: only those that the index before it refuses as well
-- accepted, stops writers while the index is built: a second for a million accounts
-- accepted, drops something: the last release reads one of several accounts by an address, until it is replaced
create unique index users_verified_email_key on users (lower(email)) where email_verified;
create index users_by_email on users (lower(email));
drop index users_email_key;

-- Owes what an address is due that an account says is its own: the mail that verifies it or, when another account has
-- verified it, one that tells its owner. Null, and no mail, when the mailbox was written to too often. Called as owe_mail is.
create function owe_verification(
    id uuid, user_id bigint, address text, name text, at timestamptz, head_start float8, worth float8
) returns uuid language sql volatile as $$
    select owe_mail($1, coalesce(o.id, $2), case when o.id is null then 'verify_email' else 'address_claimed' end,
                    coalesce(o.email, $3), coalesce(o.full_name, o.username, $4), $5, $6, $7)
    from (select mail_allowed('verify_email', $3, $5) as yes) allowed
        left join users o on lower(o.email) = lower($3) and o.email_verified and o.id <> $2
    where allowed.yes
$$;
