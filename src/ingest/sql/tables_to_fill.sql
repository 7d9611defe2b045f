select "table"
from _auth0_sync.backfill
where schema = $1
    and (
        state in ('waiting', 'running')
        or (state in ('failed', 'unavailable') and ($2 or started_at is null or started_at < now() - interval '1 hour'))
    )
