select count(pg_catalog.pg_notify('auth0_sync', note)) from unnest($1::text[]) as n (note)
