select pg_catalog.pg_create_logical_replication_slot($1::name, 'pgoutput', false)::text
