with advanced as (
    update _auth0_sync.export set bytes = $5, rows = $6, updated_at = now()
    where schema = $1 and "table" = $2 and job = $3 and bytes = $4
    returning 1
), seen as (
    insert into _auth0_sync.export_seen (schema, "table", position, digests)
    select $1, $2, $5, $7 from advanced where $7 is not null
    on conflict (schema, "table", position) do update set digests = excluded.digests
), again as (
    insert into _auth0_sync.export_again (schema, "table", key)
    select $1, $2, array(select jsonb_array_elements_text(k)) from advanced, jsonb_array_elements($8) k
    on conflict do nothing
)
select count(*) from advanced
