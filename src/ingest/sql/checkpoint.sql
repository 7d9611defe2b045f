select position, extract(epoch from clock_timestamp() - updated_at)::float8
from _auth0_sync.checkpoint
where schema = $1 and source = $2
