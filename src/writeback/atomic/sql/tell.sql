select pg_catalog.pg_notify('auth0_sync', $1)
