-- $6 names the lock that the statement waits for while this session holds it, where it has been given one.
with rung as materialized (
    select count(pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended($6, 0))) from (select) one where $6 is not null
)
insert into _auth0_sync.intent
    (schema, statement, place, txid, "table", operation, key, before, after, sealed, request_id)
select $1, $2, i.place, $3::text::xid8, i."table", i.operation, i.key, nullif(i.before, 'null'), nullif(i.after, 'null'),
    i.sealed, i.request_id
from rung, pg_catalog.jsonb_to_recordset($4) as i (
    place integer, "table" text, operation text, key jsonb, before jsonb, after jsonb, sealed boolean, request_id text
)
where pg_catalog.pg_xact_status($3::text::xid8) = 'in progress'
    and extract(epoch from pg_catalog.clock_timestamp()) < $5
on conflict do nothing
