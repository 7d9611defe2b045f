-- Before a row is stored: Auth0 makes it, and the row gets what Auth0 answered. Arguments: columns of the key, all columns.
create or replace function {schema}._strict_insert() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $body$
declare
    key_columns constant text[] := tg_argv[0];
    columns constant text[] := tg_argv[1];
    image jsonb := to_jsonb(new);
    same text;
    there boolean;
    mine jsonb;
    secrets jsonb;
    told jsonb;
begin
    select string_agg(format('t.%1$I = ($1).%1$I', k), ' and ') into same from unnest(key_columns) k;
    execute format('select exists (select from %I.%I t where %s)', tg_table_schema, tg_table_name, same)
        into there using new;
    if there then
        -- ON CONFLICT decides about it, or Postgres refuses it; Auth0 has nothing to say.
        return new;
    end if;
    select jsonb_object_agg(k, image -> k) into mine from unnest(key_columns) k;
    perform {schema}._strict_free(tg_table_name, jsonb_build_array(mine), 9223372036854775807);
    with taken as (
        delete from _auth0_sync.write_only w
        where w.txid = pg_current_xact_id() and w.mutation_id is null and w.schema = {schema_literal}
            and w."table" = tg_table_name and w.key = mine
        returning w.id, w."column", w.value
    )
    select jsonb_object_agg(t."column", t.value order by t.id) into secrets from taken t;
    select jsonb_object_agg(c, image -> c) into image from unnest(columns) c where image -> c <> 'null';
    told := {schema}._strict_ask(jsonb_build_array(jsonb_build_object(
        'table', tg_table_name, 'operation', 'INSERT', 'key', mine, 'before', null, 'after', image,
        'sealed', {schema}._strict_seal(secrets)))) -> 0;
    if jsonb_typeof(told -> 'row') = 'object' then
        new := jsonb_populate_record(new, told -> 'row');
        image := to_jsonb(new);
        select jsonb_object_agg(k, image -> k) into mine from unnest(key_columns) k;
    end if;
    insert into _auth0_sync.answered (txid, schema, "table", key, request_id)
    values (pg_current_xact_id(), {schema_literal}, tg_table_name, mine, told ->> 'request_id');
    return new;
end
$body$;
