select job, doubtful from _auth0_sync.import
where schema = $1 and request_id = $2
