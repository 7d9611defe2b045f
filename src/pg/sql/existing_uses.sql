-- Views and foreign keys that hang on tables and views of the schema: table, column (null: the whole), what.
select c.relname::text, a.attname::text, v.relname::text, n.nspname = vn.nspname,
    case v.relkind when 'm' then 'materialized view ' else 'view ' end || vn.nspname || '.' || v.relname
from pg_catalog.pg_depend d
join pg_catalog.pg_class c on c.oid = d.refobjid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_rewrite r on r.oid = d.objid
join pg_catalog.pg_class v on v.oid = r.ev_class
join pg_catalog.pg_namespace vn on vn.oid = v.relnamespace
left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid and d.refobjsubid > 0
where d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    and n.nspname = $1 and v.oid <> c.oid
union
select c.relname::text, a.attname::text, null, false,
    'foreign key ' || f.conname || ' of ' || fn.nspname || '.' || t.relname
from pg_catalog.pg_constraint f
join pg_catalog.pg_class c on c.oid = f.confrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_class t on t.oid = f.conrelid
join pg_catalog.pg_namespace fn on fn.oid = t.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = any (f.confkey)
where f.contype = 'f' and n.nspname = $1
order by 1, 2, 5
