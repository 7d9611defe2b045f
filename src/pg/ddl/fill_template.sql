-- A template of a body with the row's values in the place of {"{column}"}; what the row lacks is left out.
create or replace function {schema}._fill_template(template jsonb, given jsonb) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $body$
begin
    case jsonb_typeof(template)
        when 'string' then
            if template #>> '{}' ~ '^\{[^{}]+\}$' then
                return nullif(given -> trim(both '{}' from template #>> '{}'), 'null');
            end if;
            return template;
        when 'array' then
            return coalesce((
                select jsonb_agg(f.filled order by f.place)
                from (
                    select {schema}._fill_template(i.item, given) as filled, i.place
                    from jsonb_array_elements(template) with ordinality i (item, place)
                ) f
                where f.filled is not null
            ), '[]');
        when 'object' then
            return coalesce((
                select jsonb_object_agg(f.name, f.filled)
                from (
                    select i.name, {schema}._fill_template(i.item, given) as filled
                    from jsonb_each(template) i (name, item)
                ) f
                where f.filled is not null
            ), '{}');
        else
            return template;
    end case;
end
$body$;
