insert into _auth0_sync.checkpoint (schema, source, position) values ($1, $2, $3)
on conflict (schema, source) do update set position = excluded.position, updated_at = now()
