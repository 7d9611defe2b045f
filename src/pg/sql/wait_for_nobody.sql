-- Where the server has commits wait for us, our own would wait for ourselves.
select pg_catalog.set_config('synchronous_commit', 'local', false)
where pg_catalog.current_setting('synchronous_standby_names') ~* '"auth0-sync"|\*'
