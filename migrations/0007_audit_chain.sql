-- The audit log as a chain: the hash of each entry covers its fields and the hash of the entry before, so that an entry
-- which is changed, removed, slipped in or moved afterwards no longer fits (docs/adr/0022-audit-chain.md). The database
-- chains whatever is inserted, whoever inserts it; shared/domain/src/audit.rs computes the same and verifies.
--
-- accepted, changes what writes do: what the last release writes is chained as well, it gives no hash and needs none
-- accepted, stops writers while the index is built: audit_log is small, and the triggers' lock keeps its writers out anyway

-- Where the chain ends. Its row is locked from an entry to the end of the transaction that writes it: entries are written
-- one after the other, and their numbers have no gaps from here on.
create table audit_head (
    one  boolean not null default true,
    id   bigint  not null,
    hash bytea   not null,
    constraint audit_head_pkey primary key (one),
    constraint audit_head_one_check check (one),
    constraint audit_head_hash_check check (octet_length(hash) = 32)
) with (fillfactor = 10);
insert into audit_head (id, hash) values (0, decode(repeat('00', 32), 'hex'));

alter table audit_log add column hash bytea not null default '';

-- A field as it is hashed: its length in bytes, a colon, its text in UTF-8; `~` when it is null. So no two lists of fields
-- read the same.
create function audit_field(field text) returns text
    language sql stable parallel safe
    return coalesce(octet_length(convert_to(field, 'UTF8')) || ':' || field, '~');

-- SHA-256 over the hash before and the fields; times in microseconds since 1970, details as PostgreSQL writes a jsonb.
create function audit_hash(
    previous bytea, id bigint, at timestamptz, actor_id bigint, action text, target text, detail jsonb, request_id text
) returns bytea
    language sql stable parallel safe
    return sha256(previous || convert_to(
        'halyard.audit.1' || audit_field(id::text) || audit_field((extract(epoch from at) * 1000000)::bigint::text)
            || audit_field(actor_id::text) || audit_field(action) || audit_field(target) || audit_field(detail::text)
            || audit_field(request_id), 'UTF8'));

create function audit_append() returns trigger
    language plpgsql as $$
declare
    head audit_head;
begin
    select * into strict head from audit_head for update;
    new.id := head.id + 1;
    new.hash := audit_hash(
        head.hash, new.id, new.at, new.actor_id, new.action, new.target, new.detail, new.request_id);
    update audit_head set id = new.id, hash = new.hash;
    return new;
end $$;

create function audit_refuse() returns trigger
    language plpgsql as $$
begin
    raise insufficient_privilege using message = 'the audit log is only ever added to';
end $$;

-- From here to the commit nobody else writes an entry.
create trigger audit_log_chained before insert on audit_log for each row execute function audit_append();

-- What is there already, in the order of its numbers.
with recursive chain (id, hash) as (
    (select a.id, audit_hash(h.hash, a.id, a.at, a.actor_id, a.action, a.target, a.detail, a.request_id)
     from audit_head h, audit_log a order by a.id limit 1)
    union all
    (select n.id, audit_hash(c.hash, n.id, n.at, n.actor_id, n.action, n.target, n.detail, n.request_id)
     from chain c, lateral (select * from audit_log a where a.id > c.id order by a.id limit 1) n)
)
update audit_log a set hash = c.hash from chain c where c.id = a.id;
update audit_head h set id = a.id, hash = a.hash from (select id, hash from audit_log order by id desc limit 1) a;

create trigger audit_log_kept before update or delete or truncate on audit_log
    for each statement execute function audit_refuse();
create trigger audit_head_kept before insert or delete or truncate on audit_head
    for each statement execute function audit_refuse();
-- Moved by the chain, that is from inside of a trigger, and by nobody else.
create trigger audit_head_moved before update on audit_head
    for each statement when (pg_trigger_depth() = 0) execute function audit_refuse();

create index audit_log_by_actor on audit_log (actor_id, id desc);
create index audit_log_by_action on audit_log (action, id desc);
