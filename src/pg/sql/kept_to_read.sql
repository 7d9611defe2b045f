select id, target from _auth0_sync.to_read where schema = $1 order by id
