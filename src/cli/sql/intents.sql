select count(*), extract(epoch from clock_timestamp() - min(created_at))::float8
from _auth0_sync.intent
where schema = $1
