select
    r.rolsuper,
    r.rolcanlogin,
    r.rolreplication or r.rolsuper,
    pg_catalog.has_database_privilege(r.oid, d.oid, 'CONNECT'),
    (
        select count(*) from pg_catalog.pg_stat_activity a
        where a.usesysid = r.oid and a.backend_type = 'client backend' and a.application_name not like 'auth0-sync%'
    )
from pg_catalog.pg_roles r
join pg_catalog.pg_database d on d.datname = pg_catalog.current_database()
where r.rolname = $1
