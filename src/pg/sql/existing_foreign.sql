-- Everything of these names that the role $2 does not own.
with object (kind, name, owner) as (
    select 'schema', nspname::text, nspowner
    from pg_catalog.pg_namespace
    where nspname in ($1, '_auth0_sync')
    union all
    select 'relation', c.relname::text, c.relowner
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1
    union all
    select 'function', p.proname::text, p.proowner
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = $1
    union all
    select 'publication', pubname::text, pubowner
    from pg_catalog.pg_publication
    where pubname = 'auth0_sync'
)
select object.kind, object.name, pg_catalog.pg_get_userbyid(object.owner)::text
from object
where not coalesce((
    select pg_catalog.pg_has_role(r.oid, object.owner, 'USAGE') from pg_catalog.pg_roles r where r.rolname = $2
), false)
