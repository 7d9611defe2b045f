-- Lets the held changes of a transaction go to Auth0; returns how many there are.
create or replace function {schema}.release(txid xid8) returns bigint
language sql
security definer
set search_path = pg_catalog, pg_temp
as $body$
    select {schema}._end_hold(txid, null)
$body$;
comment on function {schema}.release(xid8) is
    'Lets the held changes of a transaction go to Auth0; returns how many there are.';
