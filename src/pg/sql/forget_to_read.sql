delete from _auth0_sync.to_read where id = any ($1)
