-- Runs a statement, commits, and waits until Auth0 has answered every change of it; raises the first refusal.
-- With rights and settings of its own it could not commit: every name in it is qualified.
create or replace procedure {schema}.write(statement text, timeout interval default '30 seconds')
language plpgsql
as $body$
declare
    mine pg_catalog.xid8;
begin
    execute statement;
    mine := pg_catalog.pg_current_xact_id_if_assigned();
    commit;
    if mine is null then
        return;
    end if;
    -- What is raised here is not for a later wait() to raise again.
    perform pg_catalog.set_config('auth0.txids', coalesce(pg_catalog.array_to_string(pg_catalog.array_remove(
        pg_catalog.string_to_array(nullif(pg_catalog.current_setting('auth0.txids', true), ''), ','), mine::text), ','), ''), false);
    commit;
    perform {schema}.wait_for(mine, timeout);
end
$body$;
comment on procedure {schema}.write(text, interval) is
    'Runs a statement, commits, and waits until Auth0 has answered every change of it; raises the first refusal.';
