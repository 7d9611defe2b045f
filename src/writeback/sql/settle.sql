with outcome as (
    select * from unnest($1::bigint[], $2::text[], $3::jsonb[]) as o (id, state, error)
), settled as (
    update {schema}."_sync_cdc" c
    set state = o.state, error = o.error, settled_at = clock_timestamp()
    from outcome o
    where c.id = o.id and c.settled_at is null
    returning c.id
), spent as (
    delete from _auth0_sync.write_only where schema = $5 and mutation_id = any ($1)
), told as (
    select pg_catalog.pg_notify('auth0_sync', note) from unnest($4::text[]) as n (note)
)
select (select count(*) from settled) + 0 * (select count(*) from told)
