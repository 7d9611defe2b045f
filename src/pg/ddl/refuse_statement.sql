-- For statements that Auth0 has no call for, and TRUNCATE. Arguments: message, hint.
create or replace function {schema}._refuse_statement() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $body$
begin
    perform {schema}._refuse('0A000', tg_argv[0], tg_table_name, '', tg_argv[1]);
    return null;
end
$body$;
