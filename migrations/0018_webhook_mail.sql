-- Whoever has named a URL hears by mail when nothing is sent there any more, whatever statement disabled it.
--
-- The mail's id is made of the endpoint and the moment: one mail for each time, and no randomness in SQL. Only to an address that
-- is known to be the user's, and within what a mailbox may be sent: of many URLs of one host, which fail together, the first is told.
create function owe_endpoint_mail() returns trigger language plpgsql as $$
begin
    perform owe_mail(
        (lpad(to_hex(floor(extract(epoch from new.disabled_at) * 1000)::bigint), 12, '0')
         || left(encode(sha256(convert_to(new.user_id || ':', 'UTF8') || new.url_hash), 'hex'), 20))::uuid,
        u.id, 'webhook_disabled', u.email, coalesce(u.full_name, u.username), new.disabled_at, 0, 86400)
    from users u
    where u.id = new.user_id and u.status = 'active' and u.email_verified
      and mail_allowed('webhook_disabled', u.email, new.disabled_at);
    return null;
end
$$;
-- accepted, changes what writes do: an endpoint is disabled seldom; the last release's beat cannot read this kind of mail, and
-- leaves it and those claimed with it owed until it is replaced, some minutes later
create trigger webhook_endpoints_owe_mail after insert or update of disabled_at on webhook_endpoints for each row
    when (new.disabled_at is not null)
    execute function owe_endpoint_mail();
