select "table"
from _auth0_sync.backfill
where schema = $1 and state in ('waiting', 'unavailable', 'failed', 'skipped')
