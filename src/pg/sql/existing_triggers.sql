select c.relname::text, t.tgname::text, pg_catalog.obj_description(t.oid, 'pg_trigger')
from pg_catalog.pg_trigger t
join pg_catalog.pg_class c on c.oid = t.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and not t.tgisinternal
