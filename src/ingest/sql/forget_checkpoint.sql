delete from _auth0_sync.checkpoint where schema = $1 and source = $2
