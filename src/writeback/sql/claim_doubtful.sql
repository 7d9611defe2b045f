with claimed as (
    update {schema}."_sync_cdc" c
    set state = 'verifying', request_id = coalesce(c.request_id, $2)
    where c.id = any ($1) and c.state in ('sending', 'verifying')
    returning c.*
)
