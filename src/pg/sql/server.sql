select
    pg_catalog.current_setting('server_version_num')::integer,
    pg_catalog.current_setting('server_version'),
    pg_catalog.current_database()::text,
    pg_catalog.current_setting('server_encoding'),
    pg_catalog.current_setting('wal_level'),
    pg_catalog.current_setting('max_replication_slots')::bigint,
    (select count(*) from pg_catalog.pg_replication_slots),
    pg_catalog.current_setting('max_wal_senders')::bigint,
    (select count(*) from pg_catalog.pg_stat_replication),
    pg_catalog.pg_is_in_recovery(),
    pg_catalog.current_setting('synchronous_standby_names')
