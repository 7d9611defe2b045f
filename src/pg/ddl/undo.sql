-- Writes the opposite of a confirmed change, or of all that a transaction (xid8) has changed, the last first.
create or replace function {schema}.undo(what anyelement) returns setof bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $body$
declare
    of_transaction boolean := pg_typeof(what) = 'xid8'::regtype;
    wanted_txid xid8;
    wanted_id bigint;
    old record;
    opposite text;
begin
    if what is null or not of_transaction and pg_typeof(what) not in ('bigint'::regtype, 'integer'::regtype) then
        raise exception using
            errcode = '22023',
            message = '[Auth0] undo takes the id of a mutation or the txid of a transaction',
            hint = 'select {schema_text}.undo(42); select {schema_text}.undo(''4711''::xid8);';
    end if;
    if of_transaction then
        wanted_txid := what::text::xid8;
    else
        wanted_id := what::text::bigint;
    end if;
    for old in
        select c.*,
            first_value(c.operation) over whole as begun_by, first_value(c.id) over whole as first,
            last_value(c.operation) over whole as ended_by
        from {schema}._sync_cdc c
        where (c.id = wanted_id or c.txid = wanted_txid)
            -- Of a transaction, what has come back is undone.
            and (not of_transaction or c.state not in ('reverted', 'cancelled'))
        window whole as (
            partition by c."table", c.key order by c.id rows between unbounded preceding and unbounded following
        )
        order by c.id desc
    loop
        if old.settled_at is null then
            raise exception using errcode = '55000', message = format('[Auth0] mutation %s is not settled yet', old.id);
        end if;
        -- A row that the transaction itself has made goes, whatever it did to it; one that has gone again is gone.
        continue when old.begun_by = 'INSERT' and (old.id <> old.first or old.ended_by = 'DELETE');
        if old.state in ('reverted', 'cancelled') then
            raise exception using
                errcode = '55000',
                message = format('[Auth0] mutation %s is %s, there is nothing to undo', old.id, old.state);
        end if;
        if {schema}._columns_of(old."table") ->> 'kind' = 'command' then
            raise exception using
                errcode = '0A000',
                message = format('[Auth0] mutation %s was a call of %s, which nothing takes back', old.id, old."table");
        end if;
        if old.operation = 'UPDATE' and old.options ? 'write_only' then
            raise warning using
                message = format('[Auth0] mutation %s wrote values that are never kept: those stay', old.id),
                detail = format('Columns: %s.', old.options ->> 'write_only');
        end if;
        opposite := case old.operation when 'INSERT' then 'DELETE' when 'DELETE' then 'INSERT' else 'UPDATE' end;
        if old.operation = 'UPDATE' then
            -- What Auth0 told of the change itself, before it answered it, is not what was there before.
            select jsonb_object_agg(b.name, case
                when b.value = old.after -> b.name then coalesce(old.options -> 'base' -> b.name, b.value) else b.value end)
            into old.before from jsonb_each(old.before) b (name, value);
        end if;
        return next {schema}._write_image(old."table", opposite, old.key, old.before, old.after);
    end loop;
    if not found then
        raise exception using errcode = 'P0002', message = format('[Auth0] there is no mutation of %s', what);
    end if;
end
$body$;
comment on function {schema}.undo(anyelement) is
    'Writes the opposite of a confirmed mutation (id), or of a transaction (xid8), as new mutations; returns their ids.';
