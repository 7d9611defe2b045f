-- Takes the held changes of a transaction back; returns how many there are.
create or replace function {schema}.discard(txid xid8) returns bigint
language sql
security definer
set search_path = pg_catalog, pg_temp
as $body$
    select {schema}._end_hold(txid, session_user)
$body$;
comment on function {schema}.discard(xid8) is
    'Takes the held changes of a transaction back, as if Auth0 had refused them; returns how many there are.';
