select pg_catalog.current_setting('synchronous_standby_names') ~* '"auth0-sync"|\*'
