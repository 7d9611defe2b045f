-- Notes the current transaction in the session, so that wait() knows what to wait for.
create or replace function {schema}._remember() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $body$
declare
    mine text := pg_current_xact_id()::text;
    noted text[] := string_to_array(nullif(current_setting('auth0.txids', true), ''), ',');
begin
    if noted is null or noted[array_upper(noted, 1)] <> mine then
        -- A session that never waits must not gather without end.
        noted := (noted || mine)[greatest(coalesce(array_length(noted, 1), 0) - 98, 1):];
        perform set_config('auth0.txids', array_to_string(noted, ','), false);
    end if;
    if current_setting('synchronous_commit') = 'remote_apply' then
        perform {schema}._tell_aside();
    end if;
end
$body$;
