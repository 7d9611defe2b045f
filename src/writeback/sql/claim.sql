with wanted as (
    select * from unnest($1::bigint[], $2::text[]) as w (id, request_id)
), claimed as (
    update {schema}."_sync_cdc" c
    set state = 'sending', attempts = c.attempts + 1, request_id = w.request_id
    from wanted w
    where c.id = any ($1) and c.id = w.id and c.state in ('pending', 'verifying')
    returning c.*
)
