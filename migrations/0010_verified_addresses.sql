-- An address is an account's once its owner has verified it. Before that anybody may say that it is theirs: refusing them would
-- tell whoever asks that it has an account (docs/adr/0030-verified-addresses.md).
--
-- accepted, refuses rows that the last release may write: only those that the index before it refuses as well
-- accepted, stops writers while the index is built: a second for a million accounts
-- accepted, drops something: the last release reads one of several accounts by an address, until it is replaced
create unique index users_verified_email_key on users (lower(email)) where email_verified;
create index users_by_email on users (lower(email));
drop index users_email_key;
