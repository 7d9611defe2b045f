-- Notes the current transaction in the session, so that wait() knows what to wait for. Only functions call it that
-- have fixed their search_path.
create or replace function {schema}._remember() returns void
language plpgsql
as $body$
declare
    mine constant text := pg_current_xact_id()::text;
    noted text := coalesce(current_setting('auth0.txids', true), '');
begin
    if noted <> mine and right(noted, length(mine) + 1) <> ',' || mine then
        -- A session that never waits must not gather without end.
        noted := set_config('auth0.txids', concat_ws(',',
            nullif(case when length(noted) > 1000 then substr(noted, strpos(noted, ',') + 1) else noted end, ''), mine), false);
    end if;
    if current_setting('synchronous_commit') = 'remote_apply' then
        perform {schema}._tell_aside();
    end if;
end
$body$;
