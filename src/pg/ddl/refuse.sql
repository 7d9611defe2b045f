-- Raises one refusal of the product's form; `code` is the SQLSTATE.
create or replace function {schema}._refuse(
    code text, message text, table_name text, column_name text default '', hint text default ''
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $body$
begin
    raise exception using
        errcode = code,
        message = '[Auth0] ' || message,
        hint = hint,
        schema = {schema_literal},
        table = table_name,
        column = column_name;
end
$body$;
