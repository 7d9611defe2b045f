select pg_catalog.current_setting('wal_level') as wal_level,
       exists (select from pg_catalog.pg_publication p where p.pubname = $1) as published
