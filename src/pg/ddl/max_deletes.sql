-- How many rows one statement may delete, as the session has set it.
create or replace function {schema}._max_deletes() returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $body$
declare
    given text := btrim(current_setting('auth0.max_deletes', true));
begin
    if given !~ '^[0-9]{1,18}$' then
        raise exception using
            errcode = '22023',
            message = format('[Auth0] invalid value for setting "auth0.max_deletes": "%s"', given),
            hint = 'A number of rows: set local auth0.max_deletes = 1000;';
    end if;
    return given::bigint;
end
$body$;
