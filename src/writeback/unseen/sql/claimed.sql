select mutation_id, txid::text, "table", operation, key, before, after, sealed
from _auth0_sync.unseen
where schema = $1 and mutation_id = any ($2)
order by mutation_id
