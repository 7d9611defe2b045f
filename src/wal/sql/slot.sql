select s.plugin = 'pgoutput' and s.database = pg_catalog.current_database() and not s.temporary as ours,
       s.wal_status = 'lost' as lost,
       s.confirmed_flush_lsn::text as confirmed_flush_lsn
  from pg_catalog.pg_replication_slots s
 where s.slot_name = $1
