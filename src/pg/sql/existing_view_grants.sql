-- Privileges on the schema's views that others than their owners have, as the statements that give them.
select c.relname::text, pg_catalog.format(
    'grant %s on %I.%I to %s%s', g.privilege_type, n.nspname, c.relname,
    case g.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) end,
    case when g.is_grantable then ' with grant option' else '' end
)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
cross join lateral pg_catalog.aclexplode(c.relacl) g
where n.nspname = $1 and c.relkind = 'v' and g.grantee <> c.relowner
union all
select c.relname::text, pg_catalog.format(
    'grant %s (%I) on %I.%I to %s%s', g.privilege_type, a.attname, n.nspname, c.relname,
    case g.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) end,
    case when g.is_grantable then ' with grant option' else '' end
)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and not a.attisdropped
cross join lateral pg_catalog.aclexplode(a.attacl) g
where n.nspname = $1 and c.relkind = 'v' and g.grantee <> c.relowner
order by 1, 2
