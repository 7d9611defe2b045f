-- Refuses a strict change of a row that has changes which Auth0 has not answered: it would overtake them.
create or replace function {schema}._strict_free(of_table text, keys jsonb, fence bigint) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $body$
begin
    perform from {schema}._sync_cdc c, jsonb_array_elements(keys) k
    where c.settled_at is null and c.key = k.value and c."table" = of_table and c.id < fence;
    if found then
        raise exception using
            errcode = '40001',
            message = '[Auth0] the row has changes that Auth0 has not answered yet',
            hint = 'Try again in a moment. Of a change in the same transaction: make it in strict mode too, or COMMIT before.',
            schema = {schema_literal},
            table = of_table;
    end if;
end
$body$;
