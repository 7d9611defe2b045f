update _auth0_sync.backfill b
set method = p.method, rows_expected = p.rows, calls_expected = p.calls, minutes_expected = p.minutes, updated_at = now()
from
    unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::float8[])
    as p ("table", method, rows, calls, minutes)
where b.schema = $1 and b."table" = p."table" and b.state in ('waiting', 'running')
