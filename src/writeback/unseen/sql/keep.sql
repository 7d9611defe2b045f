insert into _auth0_sync.unseen (schema, mutation_id, txid, "table", operation, key, before, after, sealed)
select $1, u.id, u.txid::xid8, u."table", u.operation, u.key, u.before, u.after, u.sealed
from unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::jsonb[], $8::jsonb[], $9::bytea[])
    as u (id, txid, "table", operation, key, before, after, sealed)
where not exists (select from {schema}."_sync_cdc" c where c.id = u.id)
on conflict do nothing
