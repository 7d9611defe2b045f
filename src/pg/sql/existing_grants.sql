select
    c.relname::text,
    coalesce((
        select pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT')
        from pg_catalog.pg_roles r where r.rolname = $1 || '_reader'
    ), false)
    and coalesce((
        select pg_catalog.has_table_privilege(w.oid, c.oid, 'SELECT')
            and pg_catalog.has_table_privilege(w.oid, c.oid, 'INSERT')
            and pg_catalog.has_table_privilege(w.oid, c.oid, 'UPDATE')
            and pg_catalog.has_table_privilege(w.oid, c.oid, 'DELETE')
        from pg_catalog.pg_roles w where w.rolname = $1 || '_writer'
    ), false)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relkind in ('r', 'v')
