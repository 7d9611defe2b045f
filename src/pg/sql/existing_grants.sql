select c.relname::text,
    coalesce(pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT'), false)
    and coalesce(pg_catalog.has_table_privilege(r.oid, c.oid, 'DELETE'), false)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_roles r on r.rolname = $1 || '_writer'
where n.nspname = $1 and c.relkind = 'r'
