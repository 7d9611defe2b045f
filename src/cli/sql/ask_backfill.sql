insert into _auth0_sync.backfill (schema, "table", state, asked_at)
select $1, t, 'waiting', now() from unnest($2) t
on conflict (schema, "table") do update set
    state = 'waiting',
    rows = 0,
    calls = 0,
    rows_expected = null,
    calls_expected = null,
    minutes_expected = null,
    error = null,
    finished_at = null,
    asked_at = now()
