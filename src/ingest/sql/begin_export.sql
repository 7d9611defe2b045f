insert into _auth0_sync.export (schema, "table", job, job_created_at, began_with_rows)
values ($1, $2, $3, $4, $5)
