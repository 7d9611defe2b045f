insert into _auth0_sync.backfill (schema, "table", state, rows, error, method, calls, started_at, updated_at, finished_at)
values ($1, $2, $3, $4, $5, $6, $7, now(), now(), case when $3 = 'done' then now() end)
on conflict (schema, "table") do update set
    state = excluded.state,
    rows = excluded.rows,
    error = excluded.error,
    method = coalesce(excluded.method, backfill.method),
    calls = excluded.calls,
    started_at = case when excluded.state = 'running' then now() else backfill.started_at end,
    updated_at = now(),
    finished_at = excluded.finished_at,
    asked_at = case when excluded.state in ('running', 'waiting') then backfill.asked_at end,
    mailed_at = case when excluded.state not in ('done', 'unavailable') then backfill.mailed_at end
-- Asked for again while it was being filled: it is still waiting.
where excluded.state = 'running' or backfill.state = 'running'
