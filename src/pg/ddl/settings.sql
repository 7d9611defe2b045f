-- What the session's settings ask of the changes of a statement: the state that they begin in, and what goes with them.
create or replace function {schema}._settings(out state text, out options jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
as $body$
declare
    hold boolean := {schema}._switch('auth0.hold');
    atomic boolean := {schema}._switch('auth0.atomic');
    conflict text := coalesce(nullif(current_setting('auth0.on_conflict', true), ''), 'overwrite');
    together text := coalesce(nullif(current_setting('auth0.bulk', true), ''), 'auto');
begin
    if together not in ('auto', 'import', 'single') then
        raise exception using
            errcode = '22023',
            message = format('[Auth0] invalid value for setting "auth0.bulk": "%s"', together),
            hint = 'One of: auto, import, single.';
    end if;
    if conflict not in ('overwrite', 'reject') then
        raise exception using
            errcode = '22023',
            message = format('[Auth0] invalid value for setting "auth0.on_conflict": "%s"', conflict),
            hint = 'One of: overwrite, reject.';
    end if;
    if (hold or atomic or conflict = 'reject')
        and coalesce(current_setting('auth0.write_mode', true), '') not in ('', 'async') then
        raise exception using
            errcode = '0A000',
            message = '[Auth0] auth0.hold, auth0.atomic and auth0.on_conflict are for asynchronous writes',
            hint = 'set local auth0.write_mode = ''async'';';
    end if;
    if conflict = 'reject' then
        options := '{"on_conflict": "reject"}';
    end if;
    if atomic then
        options := coalesce(options, '{}') || '{"atomic": true}';
    end if;
    if together <> 'auto' then
        options := coalesce(options, '{}') || jsonb_build_object('bulk', together);
    end if;
    state := 'pending';
    if hold then
        state := 'held';
        insert into _auth0_sync.held (schema, txid, held_by)
        values ({schema_literal}, pg_current_xact_id(), session_user)
        on conflict do nothing;
    end if;
end
$body$;
