select position, told_at
from _auth0_sync.checkpoint
where schema = $1 and source = 'events'
