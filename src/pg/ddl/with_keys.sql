-- An object with the keys of an image in it: null takes a key away, and so does the other image where this one lacks it.
create or replace function {schema}._with_keys(now jsonb, image jsonb, other jsonb) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $body$
    select case
        when image = '{}' then image
        when jsonb_typeof(image) = 'object' then kept || coalesce(
            (select jsonb_object_agg(key, value) from jsonb_each(image) where value <> 'null'), '{}'
        )
        else nullif(kept, '{}')
    end
    from (
        select coalesce(now, '{}')
            - array(select jsonb_object_keys(case jsonb_typeof(image) when 'object' then image else '{}' end))
            - array(select jsonb_object_keys(case jsonb_typeof(other) when 'object' then other else '{}' end))
    ) rest (kept)
$body$;
