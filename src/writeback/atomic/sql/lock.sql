select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1 || ':' || $2::text, 0))
