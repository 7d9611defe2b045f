select statement, place, txid::text, "table", operation, key, before, after, sealed, request_id, state, made
from _auth0_sync.intent where schema = $1 order by statement, place
