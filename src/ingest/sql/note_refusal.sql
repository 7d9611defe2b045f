insert into _auth0_sync.backfill (schema, "table", state, error, started_at)
values ($1, $2, 'unavailable', $3, now())
on conflict (schema, "table") do update set
    state = excluded.state,
    error = excluded.error,
    started_at = excluded.started_at,
    finished_at = null
-- What is waiting or being filled finds it out by itself.
where backfill.state in ('done', 'failed', 'unavailable')
