-- For statements that Auth0 has no call for, and TRUNCATE. Arguments: message, hint.
create or replace function {schema}._refuse_statement() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $body$
begin
    raise exception using
        errcode = '0A000',
        message = '[Auth0] ' || tg_argv[0],
        hint = tg_argv[1],
        schema = tg_table_schema,
        table = tg_table_name;
end
$body$;
