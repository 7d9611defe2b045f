-- Does to a row what an image says, as the caller's own statement; returns the mutation that comes of it,
-- or null where the row is so already. Arguments as in _sync_cdc; `other` is the image of the other side.
create or replace function {schema}._write_image("table" text, operation text, key jsonb, image jsonb, other jsonb)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $body$
declare
    name text := format('%I.%I', {schema_literal}, "table");
    about jsonb := {schema}._columns_of("table");
    same text := (
        select string_agg(format('t.%I = %L', k.column_name, k.value), ' and ')
        from jsonb_each_text(key) k (column_name, value)
    );
    columns text[];
    written bigint;
    last bigint := (select max(c.id) from {schema}._sync_cdc c where c.txid = pg_current_xact_id_if_assigned());
begin
    if about is null then
        raise exception using errcode = '42P01', message = format('[Auth0] %s is not synced', name);
    end if;
    if operation = 'INSERT' then
        select array_agg(quote_ident(i.column_name)) into columns
        from jsonb_each(image) i (column_name, value)
        where i.value <> 'null' and about -> 'insert' ? i.column_name;
        execute format('insert into %1$s (%2$s) select %2$s from jsonb_populate_record(null::%1$s, $1)',
            name, array_to_string(columns, ', ')) using image;
    elsif operation = 'DELETE' then
        execute format('delete from %s t where %s', name, same);
    else
        select array_agg(format(
            case when about -> 'keys' ? i.column_name
                then '%1$I = {schema}._with_keys(t.%1$I, $1 -> %1$L, $2 -> %1$L)'
                else '%1$I = (jsonb_populate_record(null::%2$s, $1)).%1$I'
            end, i.column_name, name)) into columns
        from jsonb_each(image) i (column_name, value);
        if columns is null then
            return null;
        end if;
        execute format('update %s t set %s where %s', name, array_to_string(columns, ', '), same) using image, other;
    end if;
    get diagnostics written = row_count;
    if written = 0 then
        raise exception using
            errcode = 'P0002',
            message = format('[Auth0] there is no row %s in %s any more', key, name);
    end if;
    select max(c.id) into written from {schema}._sync_cdc c
    where c.txid = pg_current_xact_id_if_assigned() and c.id > coalesce(last, 0);
    return written;
end
$body$;
