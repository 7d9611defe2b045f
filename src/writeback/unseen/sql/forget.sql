delete from _auth0_sync.unseen where schema = $1 and mutation_id = any ($2)
