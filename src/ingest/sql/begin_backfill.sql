update _auth0_sync.tenant
set filling_at = coalesce(filling_at, now())
where schema = $1
    and exists (
        select from _auth0_sync.backfill b
        where b.schema = $1 and b."table" = any ($2) and b.state in ('waiting', 'running')
    )
returning true
