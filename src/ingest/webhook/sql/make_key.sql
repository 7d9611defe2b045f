insert into _auth0_sync.webhook_key (schema, key) values ($1, $2)
