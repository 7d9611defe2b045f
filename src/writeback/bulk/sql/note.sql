update _auth0_sync.import set job = $3, doubtful = $4
where schema = $1 and request_id = $2
