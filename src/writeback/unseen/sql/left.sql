select (txid::text::numeric % 4294967296)::bigint, mutation_id
from _auth0_sync.unseen
where schema = $1
order by mutation_id
