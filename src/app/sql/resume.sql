update _auth0_sync.tenant
set paused_at = null, paused_for = null
where schema = $1
