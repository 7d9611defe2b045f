-- The calls that the changes of the open transaction would make, in their order.
create or replace function {schema}.plan()
returns table (ids bigint[], method text, path text, body jsonb, calls integer, seconds double precision)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $body$
#variable_conflict use_column
declare
    step record;
    about jsonb;
    call jsonb;
    image jsonb;
    one jsonb;
    given jsonb;
    part text[];
    spent jsonb := '{}';
    bucket record;
    wait double precision;
    together bigint[] := '{}';
begin
    -- New rows that go together leave beside the others.
    for ids, method, path, body, calls, seconds in select * from {schema}._plan_imports() loop
        together := together || ids;
        return next;
    end loop;
    for step in
        with mine as (
            select c.id, c."table", c.key, c.operation, c.before, c.after, c.options,
                lag(c.operation) over of_row as previous, lag(c.options) over of_row as previous_options
            from {schema}._sync_cdc c
            -- What a strict statement has written is at Auth0 already.
            where c.txid = pg_current_xact_id_if_assigned() and c.settled_at is null and c.id <> all (together)
            window of_row as (partition by c."table", c.key order by c.id)
        ), numbered as (
            -- Updates of a row that wait together leave together, and a delete swallows them.
            select m.*, count(*) filter (
                where coalesce(m.previous, 'INSERT') <> 'UPDATE' or m.operation = 'INSERT'
                    or m.options is not null or m.previous_options is not null
            ) over (partition by m."table", m.key order by m.id) as number
            from mine m
        )
        select min(n.id) as first, array_agg(n.id order by n.id) as ids, n."table" as of_table, n.key as of_key,
            (array_agg(n.operation order by n.id desc))[1] as operation,
            (array_agg(n.before order by n.id desc))[1] as before,
            array_agg(n.after order by n.id) as afters,
            bool_or(n.options ? 'on_conflict' and n.operation <> 'INSERT') as compared
        from numbered n
        group by n."table", n.key, n.number
        order by 1
    loop
        about := {schema}._calls_of(step.of_table);
        image := '{}';
        foreach one in array step.afters loop
            select coalesce(jsonb_object_agg(k.name,
                case when about -> 'keys' ? k.name and jsonb_typeof(image -> k.name) = 'object'
                        and jsonb_typeof(k.value) = 'object' and k.value <> '{}'
                    then (image -> k.name) || k.value else k.value end), '{}') || '{}'
            into given from jsonb_each(coalesce(one, '{}')) k (name, value);
            image := image || given;
        end loop;
        -- Of secrets that they are there.
        select image || coalesce(jsonb_object_agg(w."column",
            case when about -> 'open' ? w."column" then w.value
                when jsonb_typeof(w.value) = 'object' and about -> 'keys' ? w."column"
                then coalesce(nullif(image -> w."column", 'null'), '{}')
                    || (select jsonb_object_agg(k.name, '***'::text) from jsonb_object_keys(w.value) k (name))
                else '"***"' end), '{}')
        into image from _auth0_sync.write_only w
        where w.schema = {schema_literal} and w.mutation_id = any (step.ids);
        given := step.of_key || image;
        if step.operation = 'DELETE' then
            given := step.before || step.of_key;
        end if;
        if about -> 'prefix' is not null and step.operation = 'INSERT' then
            image := image || jsonb_build_object(about #>> '{prefix,column}', substr(
                step.of_key ->> (about #>> '{prefix,column}'), length(about #>> '{prefix,text}') + 1));
        end if;
        select c.call into call
        from jsonb_array_elements(about -> step.operation) with ordinality c (call, place)
        where image @> coalesce(c.call -> 'when', '{}') order by c.place limit 1;
        continue when call is null;
        -- Columns that never go together: one call for each group that is touched, the rest with the first.
        for part in
            with touched as (
                select i.name, (
                    select min(g.place) from jsonb_array_elements(about -> 'apart') with ordinality g (names, place)
                    where g.names ? i.name
                ) as place
                from jsonb_object_keys(image) i (name)
                where step.operation = 'UPDATE'
            ), groups as (
                select distinct t.place from touched t
                where t.place is not null and not about -> 'apart_with' ? t.name
            )
            select p.names
            from (
                select g.place, array(
                    select t.name from touched t
                    where about -> 'apart_with' ? t.name
                        or coalesce(t.place, (select min(o.place) from groups o)) = g.place
                ) as names
                from groups g
                union all
                select 0, array(select jsonb_object_keys(image)) where not exists (select from groups)
            ) p
            order by p.place
        loop
            ids := step.ids;
            method := call ->> 'method';
            path := {schema}._fill_path(call ->> 'path', call -> 'query', given);
            if call -> 'template' is not null then
                body := {schema}._fill_template(call -> 'template', given);
            elsif call -> 'whole' is not null then
                body := image -> (call ->> 'whole');
            elsif jsonb_typeof(call -> 'fields') = 'object' then
                select coalesce(jsonb_object_agg(f.field, image -> f.name), '{}') into body
                from jsonb_each_text(call -> 'fields') f (name, field)
                where f.name = any (part)
                    and (step.operation = 'UPDATE' or image -> f.name is distinct from 'null');
            else
                body := null;
            end if;
            calls := 1 + (call ->> 'reads')::integer + coalesce(step.compared, false)::integer
                + (exists (select from unnest(part) p (name) where about -> 'read_keys' ? p.name)
                    and step.operation = 'UPDATE' and (call ->> 'reads')::integer = 0)::integer;
            seconds := null;
            for bucket in
                select b.bucket as name, b.per_second, b.available
                from _auth0_sync.budget b
                where b.schema = {schema_literal} and b.bucket = any (coalesce((
                    select g.buckets from _auth0_sync.call_group g
                    where g.schema = {schema_literal} and g.method = call ->> 'method' and g.path = call ->> 'path'
                ), '{}'))
            loop
                spent := spent || jsonb_build_object(bucket.name, coalesce((spent ->> bucket.name)::bigint, 0) + calls);
                wait := greatest((spent ->> bucket.name)::bigint - bucket.available, 0) / nullif(bucket.per_second, 0);
                seconds := greatest(seconds, wait);
            end loop;
            return next;
        end loop;
    end loop;
end
$body$;
comment on function {schema}.plan() is
    'The calls that the changes of the open transaction would make: mutations, method, path, body without secrets, how many calls of the API that costs, and after how many seconds the budget lets it leave (null where no limit is known).';
