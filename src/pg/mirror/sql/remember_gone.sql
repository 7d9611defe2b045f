insert into _auth0_sync.export_gone (schema, "table", key)
select e.schema, e."table", $3 from _auth0_sync.export e where e.schema = $1 and e."table" = $2
on conflict do nothing
