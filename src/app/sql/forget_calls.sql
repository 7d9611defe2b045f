delete from _auth0_sync.calls where schema = $1 and slot < now() - interval '30 days'
