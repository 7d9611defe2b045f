select job, job_created_at, began_with_rows, etag, ranges, bytes, rows
from _auth0_sync.export
where schema = $1 and "table" = $2
