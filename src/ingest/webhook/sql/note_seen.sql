insert into _auth0_sync.webhook_seen (schema, id) values ($1, $2) on conflict do nothing
