select exists (
    select from pg_catalog.pg_auth_members m
    join pg_catalog.pg_roles g on g.oid = m.roleid
    join pg_catalog.pg_roles u on u.oid = m.member
    where g.rolname = $1 and u.rolname = $2
)
