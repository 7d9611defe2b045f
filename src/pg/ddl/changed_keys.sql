-- First-level keys of `mine` and `other` whose values differ, with the values of `mine`; null where it has none.
-- What is no object has no keys.
create or replace function {schema}._changed_keys(mine jsonb, other jsonb) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $body$
    select nullif(
        coalesce(jsonb_object_agg(key, coalesce(mine -> key, 'null')), '{}'),
        '{}'
    )
    from (
        select jsonb_object_keys(case jsonb_typeof(mine) when 'object' then mine else '{}' end)
        union
        select jsonb_object_keys(case jsonb_typeof(other) when 'object' then other else '{}' end)
    ) as keys (key)
    where coalesce(mine -> key, 'null') is distinct from coalesce(other -> key, 'null')
$body$;
