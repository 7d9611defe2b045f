insert into _auth0_sync.strict_key (schema, inner_key, outer_key) values ($1, $2, $3) on conflict do nothing
