select
    exists (select from pg_catalog.pg_namespace where nspname = $1),
    exists (
        select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relname = '_sync_cdc'
    ),
    exists (select from pg_catalog.pg_publication where pubname = 'auth0_sync'),
    exists (
        select from pg_catalog.pg_publication_tables
        where pubname = 'auth0_sync' and schemaname = $1 and tablename = '_sync_cdc'
    )
