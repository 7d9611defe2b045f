select coalesce(pg_catalog.pg_xact_status($1::text::xid8), 'aborted') <> 'in progress'
