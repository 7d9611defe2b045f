update _auth0_sync.tenant
set paused_at = coalesce(paused_at, now()), paused_for = coalesce($2, paused_for)
where schema = $1
