insert into _auth0_sync.checkpoint (schema, source, position, told_at) values ($1, 'events', $2, $3)
on conflict (schema, source) do update set
    position = excluded.position,
    told_at = coalesce(excluded.told_at, checkpoint.told_at),
    updated_at = now()
