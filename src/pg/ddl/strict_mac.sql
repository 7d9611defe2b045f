-- HMAC-SHA256 under the key that the triggers share with the service. Who may call it can write to Auth0.
create or replace function {schema}._strict_mac(content bytea) returns bytea
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
as $body$
declare
    key record;
begin
    select k.inner_key, k.outer_key into key from _auth0_sync.strict_key k where k.schema = {schema_literal};
    if not found then
        raise exception using
            errcode = '55000',
            message = '[Auth0] strict writes are not possible yet',
            hint = 'Start the service once: `auth0-sync run`.';
    end if;
    return sha256(key.outer_key || sha256(key.inner_key || content));
end
$body$;
