insert into _auth0_sync.backfill (schema, "table", state, rows, error, started_at, finished_at)
values ($1, $2, $3, $4, $5, now(), case when $3 = 'done' then now() end)
on conflict (schema, "table") do update set
    state = excluded.state,
    rows = excluded.rows,
    error = excluded.error,
    started_at = case when excluded.state = 'running' then now() else backfill.started_at end,
    finished_at = excluded.finished_at
-- Asked for again while it was being filled: it is still waiting.
where excluded.state = 'running' or backfill.state = 'running'
