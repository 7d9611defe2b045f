with told as (
    update _auth0_sync.tenant
    set writes = $2
    where schema = $1
    returning schema
)
select pg_catalog.pg_notify('auth0_sync', $3) from told
