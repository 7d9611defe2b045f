update _auth0_sync.export
set etag = $4, ranges = $5, bytes = $6, rows = $7, updated_at = now()
where schema = $1 and "table" = $2 and job = $3
