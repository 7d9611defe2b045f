select
    exists (select from pg_catalog.pg_namespace where nspname = $1),
    exists (
        select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relname = '_sync_cdc'
    ),
    exists (
        select from pg_catalog.pg_publication_tables
        where pubname = 'auth0_sync' and schemaname = $1 and tablename = '_sync_cdc'
    ),
    coalesce((
        select pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
        from pg_catalog.pg_namespace n join pg_catalog.pg_roles r on r.rolname = $1 || '_reader'
        where n.nspname = $1
    ), false),
    coalesce((
        select pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT')
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        join pg_catalog.pg_roles r on r.rolname = $1 || '_reader'
        where n.nspname = $1 and c.relname = '_sync_cdc'
    ), false),
    pg_catalog.to_regclass('_auth0_sync.mirror') is not null,
    exists (
        -- A superuser's sessions are other people's too.
        select from pg_catalog.pg_roles r
        left join pg_catalog.pg_db_role_setting s on s.setrole = r.oid and s.setdatabase = 0
        where r.rolname = $2 and (r.rolsuper or 'application_name=auth0-sync' = any (s.setconfig))
    ),
    exists (
        select from pg_catalog.pg_constraint k
        join pg_catalog.pg_class c on c.oid = k.conrelid
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relname = '_sync_cdc' and k.conname = 'state_fits_outcome'
    )
