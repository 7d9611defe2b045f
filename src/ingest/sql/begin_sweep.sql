insert into _auth0_sync.sweep (schema, "table", started_at, lists) values ($1, $2, clock_timestamp(), $3)
on conflict (schema, "table") do update set started_at = excluded.started_at, lists = excluded.lists
returning started_at
