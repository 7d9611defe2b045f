update _auth0_sync.backfill b
set
    method = p.method,
    rows = p.rows,
    rows_expected = coalesce(p.rows_expected, b.rows_expected),
    calls = p.calls,
    calls_expected = coalesce(p.calls_expected, b.calls_expected),
    updated_at = now()
from
    unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
    as p ("table", method, rows, rows_expected, calls, calls_expected)
where b.schema = $1 and b."table" = p."table" and b.state = 'running'
