select c.relname::text, c.reltuples, b.state, b.error, pg_catalog.pg_table_size(c.oid),
    b.method, b.rows, b.rows_expected, b.calls, b.calls_expected, b.minutes_expected,
    extract(epoch from clock_timestamp() - b.started_at)::float8 as seconds
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join _auth0_sync.backfill b on b.schema = n.nspname and b."table" = c.relname
where n.nspname = $1 and c.relkind = 'r'
order by c.relname
