delete from _auth0_sync.webhook_seen where received_at < now() - make_interval(secs => $1)
