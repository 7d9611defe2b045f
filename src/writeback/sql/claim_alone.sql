-- Nothing is loaded before: what could stand in its way is looked for here. An earlier one of its row that waits, and
-- whatever is held.
with claimed as (
    update {schema}."_sync_cdc" c
    set state = 'sending', attempts = c.attempts + 1, request_id = $2
    where c.id = $1 and c.state = 'pending' and c.operation = 'UPDATE' and c.options is null
        and not exists (
            select from {schema}."_sync_cdc" e
            where e.settled_at is null and e.key = c.key and e."table" = c."table" and e.id < c.id
        )
        and not exists (select from _auth0_sync.held h where h.schema = $3)
    returning c.*
)
