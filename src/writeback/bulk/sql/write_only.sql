select mutation_id, "column", value from _auth0_sync.write_only
where schema = $1 and mutation_id = any ($2)
order by mutation_id, id
