-- The files in which new rows of the open transaction would go together: as writeback decides, but for how long jobs have taken.
create or replace function {schema}._plan_imports()
returns table (ids bigint[], method text, path text, body jsonb, calls integer, seconds double precision)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $body$
#variable_conflict use_column
begin
    return query
    with known as (
        select t."table", a.about -> 'bulk' as bulk, a.about #>> '{INSERT,0,method}' as method, a.about #>> '{INSERT,0,path}' as path
        from (
            select distinct c."table" from {schema}._sync_cdc c
            where c.txid = pg_current_xact_id_if_assigned() and c.settled_at is null and c.operation = 'INSERT'
        ) t
        cross join lateral (select {schema}._calls_of(t."table") as about offset 0) a
        where a.about ? 'bulk'
    ), mine as (
        select c.id, k."table", k.bulk, k.method, k.path, coalesce(c.options ->> 'bulk', 'auto') as wish,
            c.after || coalesce((
                select jsonb_object_agg(w."column", w.value) from _auth0_sync.write_only w
                where w.schema = {schema_literal} and w.mutation_id = c.id
            ), '{}') as given
        from {schema}._sync_cdc c
        join known k on k."table" = c."table"
        where c.txid = pg_current_xact_id_if_assigned() and c.settled_at is null and c.operation = 'INSERT' and c.state = 'pending'
            and coalesce(c.options - 'bulk', '{}') = '{}'
    ), fit as (
        select m.*, m.given ->> (m.bulk ->> 'home') as home,
            octet_length((select jsonb_object_agg(g.name, g.value) from jsonb_each(m.given) g (name, value)
                where m.bulk -> 'columns' ? g.name)::text) + 1 as bytes
        from mine m
        where m.wish <> 'single'
            and m.given ? (m.bulk ->> 'home')
            and not exists (select from jsonb_array_elements_text(m.bulk -> 'required') r (name)
                where coalesce(m.given -> r.name, 'null') = 'null')
            and not exists (select from jsonb_each(m.given) g (name, value)
                where g.value <> 'null' and not m.bulk -> 'columns' ? g.name and not m.bulk -> 'beside' ? g.name)
            and (m.wish = 'import' or m.bulk -> 'same_where' = '[]'
                or exists (select from jsonb_array_elements(m.bulk -> 'same_where') s (held) where m.given @> s.held))
    ), budget as (
        -- Creating calls a second; nothing where only answers tell.
        select k."table", min(b.per_second) as rate
        from known k
        join _auth0_sync.call_group g on g.schema = {schema_literal} and g.method = k.method and g.path = k.path
        join _auth0_sync.budget b on b.schema = {schema_literal} and b.bucket = any (g.buckets)
        group by 1
    ), worth as (
        select f.*, count(*) over (partition by f."table") as all_rows, b.rate
        from fit f left join budget b using ("table")
    ), going as (
        select w.*, sum(w.bytes) over (partition by w."table", w.home order by w.id) / (w.bulk ->> 'most_bytes')::bigint as file
        from worth w
        where w.wish = 'import' or case when w.rate is null then w.all_rows >= (w.bulk ->> 'many')::bigint
            else w.all_rows >= (w.bulk ->> 'least')::bigint
                and w.all_rows > (w.bulk ->> 'seconds')::double precision * w.rate end
    ), files as (
        select array_agg(g.id order by g.id) as ids, g.bulk, g.home, row_number() over (order by min(g.id)) as place
        from going g
        group by g."table", g.bulk, g.home, g.file
    )
    select f.ids, f.bulk ->> 'method', f.bulk ->> 'path', jsonb_build_object('rows', cardinality(f.ids), f.bulk ->> 'home', f.home),
        -- Starting, two looks, the errors, and a search for every fifty rows.
        4 + (cardinality(f.ids) + 49) / 50,
        (f.bulk ->> 'seconds')::double precision * ((f.place - 1) / (f.bulk ->> 'at_a_time')::bigint)
    from files f
    order by f.place;
end
$body$;
