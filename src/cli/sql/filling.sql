select "table", state, error, method, rows, rows_expected, calls, calls_expected, minutes_expected,
    extract(epoch from clock_timestamp() - started_at)::float8 as seconds
from _auth0_sync.backfill
where schema = $1 and "table" = any ($2)
order by "table"
