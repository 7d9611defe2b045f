with seen as (
    delete from _auth0_sync.unseen u
    using {schema}."_sync_cdc" c
    where u.schema = $1 and c.id = u.mutation_id
    returning c.id, u.request_id
)
update {schema}."_sync_cdc" c
set state = 'sending', attempts = c.attempts + 1, request_id = seen.request_id
from seen
where c.id = seen.id and c.state = 'pending' and seen.request_id is not null
returning c.id
