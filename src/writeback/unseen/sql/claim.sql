insert into _auth0_sync.unseen as u
    (schema, mutation_id, txid, "table", operation, key, before, after, request_id, sealed)
select $1, $2, $3::text::xid8, $4, $5, $6, $7, $8, $9, $10
where not exists (select from {schema}."_sync_cdc" where id = $2)
on conflict (schema, mutation_id) do update set request_id = coalesce(u.request_id, excluded.request_id)
returning request_id
