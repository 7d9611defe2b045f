-- What the session's settings ask of the changes of a statement: the state that they begin in, and what goes with them.
create or replace function {schema}._settings(out state text, out options jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
as $body$
declare
    conflict text := coalesce(nullif(current_setting('auth0.on_conflict', true), ''), 'overwrite');
begin
    if conflict not in ('overwrite', 'reject') then
        raise exception using
            errcode = '22023',
            message = format('[Auth0] invalid value for setting "auth0.on_conflict": "%s"', conflict),
            hint = 'One of: overwrite, reject.';
    end if;
    if conflict = 'reject' then
        options := '{"on_conflict": "reject"}';
    end if;
    state := 'pending';
    if coalesce(nullif(current_setting('auth0.hold', true), ''), 'off')::boolean then
        state := 'held';
        insert into _auth0_sync.held (schema, txid, held_by)
        values ({schema_literal}, pg_current_xact_id(), session_user)
        on conflict do nothing;
    end if;
end
$body$;
