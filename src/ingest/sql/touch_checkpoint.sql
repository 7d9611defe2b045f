update _auth0_sync.checkpoint set updated_at = now()
where schema = $1 and source = $2 and position = $3
