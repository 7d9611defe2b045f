select
    plugin::text,
    database::text,
    active,
    wal_status,
    case
        when pg_catalog.pg_is_in_recovery() then null
        else pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn)::bigint
    end,
    case
        when pg_catalog.pg_is_in_recovery() then null
        else pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), confirmed_flush_lsn)::bigint
    end,
    database = pg_catalog.current_database()
from pg_catalog.pg_replication_slots
where slot_name = $1
