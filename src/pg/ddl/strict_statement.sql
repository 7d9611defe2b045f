-- After a statement has been captured behind `fence`: Auth0 takes its rows, all of them or none, and they are confirmed.
create or replace function {schema}._strict_statement(of_table text, made text, fence bigint) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $body$
declare
    mine constant xid8 := pg_current_xact_id();
    -- Ids of this statement lie between the two: a plan that is kept for all statements needs both ends.
    last bigint;
    ids bigint[];
    keys jsonb;
    changes jsonb;
    told jsonb;
begin
    if made = 'INSERT' then
        -- Auth0 was asked row by row, before each was stored; what was not stored is not confirmed.
        update {schema}._sync_cdc c
        set state = 'confirmed', attempts = 1, request_id = a.request_id, settled_at = clock_timestamp()
        from _auth0_sync.answered a
        where a.txid = mine and a.schema = {schema_literal} and a."table" = of_table
            and c.txid = mine and c.id > fence and c."table" = of_table and c.key = a.key and c.operation = 'INSERT';
        delete from _auth0_sync.answered a
        where a.txid = mine and a.schema = {schema_literal} and a."table" = of_table;
        -- The key was there when Auth0 would have been asked, and has gone since.
        perform from {schema}._sync_cdc c
        where c.txid = mine and c.id > fence and c."table" = of_table and c.state <> 'confirmed';
        if found then
            raise exception using
                errcode = '40001',
                message = '[Auth0] another transaction has deleted the row meanwhile',
                hint = 'Try again.',
                schema = {schema_literal},
                table = of_table;
        end if;
        return;
    end if;
    last := currval(pg_get_serial_sequence(format('%I._sync_cdc', {schema_literal}), 'id'));
    select array_agg(c.id order by c.id), jsonb_agg(c.key), jsonb_agg(
            jsonb_build_object(
                'table', c."table", 'operation', c.operation, 'key', c.key, 'before', c.before, 'after', c.after,
                'sealed', case when w.secrets is not null then {schema}._strict_seal(w.secrets) end
            ) order by c.id
        )
    into ids, keys, changes
    from {schema}._sync_cdc c
    left join lateral (
        select jsonb_object_agg(w."column", w.value order by w.id) as secrets
        from _auth0_sync.write_only w where w.schema = {schema_literal} and w.mutation_id = c.id
    ) w on true
    where c.txid = mine and c.id > fence and c.id <= last and c."table" = of_table;
    if ids is null then
        return;
    end if;
    perform {schema}._strict_free(of_table, keys, fence);
    told := {schema}._strict_ask(changes);
    if cardinality(ids) = 1 then
        -- Of one row the plan is kept: to make it costs as much as to run it.
        update {schema}._sync_cdc c
        set state = 'confirmed', attempts = 1, request_id = told -> 0 ->> 'request_id', settled_at = clock_timestamp()
        where c.id = ids[1];
    else
        update {schema}._sync_cdc c
        set state = 'confirmed', attempts = 1, request_id = told -> (i.place::integer - 1) ->> 'request_id',
            settled_at = clock_timestamp()
        from unnest(ids) with ordinality i (id, place)
        where c.id = i.id;
    end if;
    delete from _auth0_sync.write_only w where w.schema = {schema_literal} and w.mutation_id = any (ids);
end
$body$;
