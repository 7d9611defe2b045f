-- Makes a change again that has come back, as a new mutation; returns its id, or null where the row is so already.
create or replace function {schema}.retry(id bigint) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $body$
declare
    old record;
begin
    select c.* into old from {schema}._sync_cdc c where c.id = retry.id;
    if not found then
        raise exception using errcode = 'P0002', message = format('[Auth0] there is no mutation %s', id);
    end if;
    if old.state not in ('reverted', 'cancelled') then
        raise exception using
            errcode = '55000',
            message = format('[Auth0] mutation %s is %s, it has not come back', id, old.state);
    end if;
    if old.options ? 'write_only' then
        raise exception using
            errcode = '55000',
            message = format('[Auth0] mutation %s had values that are never kept', id),
            detail = format('Columns: %s.', old.options ->> 'write_only'),
            hint = 'Write it again with them.';
    end if;
    return {schema}._write_image(old."table", old.operation, old.key, old.after, old.before);
end
$body$;
comment on function {schema}.retry(bigint) is
    'Makes a change again that Auth0 has refused or that was cancelled or discarded, as a new mutation; returns its id.';
