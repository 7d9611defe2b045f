-- A job lives for a day: what is older tells nothing any more.
delete from _auth0_sync.import
where schema = $1 and (request_id = $2 or begun_at < pg_catalog.now() - interval '3 days')
