select c.relname::text, c.relkind::text, pg_catalog.obj_description(c.oid, 'pg_class'),
    pg_catalog.obj_description(r.oid, 'pg_rewrite')
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_rewrite r on r.ev_class = c.oid and r.rulename = '_RETURN'
where n.nspname = $1 and c.relkind in ('r', 'p', 'v', 'm', 'f')
