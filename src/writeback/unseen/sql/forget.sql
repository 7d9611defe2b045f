update _auth0_sync.unseen set request_id = null where schema = $1 and mutation_id = any ($2)
