with wanted as (
    select * from unnest($1::bigint[], $2::text[]) as w (id, request_id)
), claimed as (
    update {schema}."_sync_cdc" c
    set state = 'sending', attempts = c.attempts + 1, request_id = w.request_id
    from wanted w
    where c.id = any ($1) and c.id = w.id and c.state in ('pending', 'verifying')
    returning c.id, c.operation, c.key, c.before, c.after, c.request_id
)
select c.*, (
    select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(v."column", v.value) order by v.id)
    from _auth0_sync.write_only v
    where v.schema = $3 and v.mutation_id = c.id
) as aside
from claimed c
order by c.id
