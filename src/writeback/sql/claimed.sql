-- How each claim ends: what it has moved, with the values of write-only columns; $3 is the schema.
select c.id, c."table", c.operation, c.key, c.before, c.after, c.request_id, (
    select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(v."column", v.value) order by v.id)
    from _auth0_sync.write_only v
    where v.schema = $3 and v.mutation_id = c.id
) as aside
from claimed c
order by c.id
