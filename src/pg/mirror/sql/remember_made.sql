insert into _auth0_sync.made_key (schema, "table", provisional, made) values ($1, $2, $3, $4) on conflict do nothing
