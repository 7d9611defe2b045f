-- Ends the hold of a transaction: its changes go to Auth0, or, where somebody discards them, come back.
create or replace function {schema}._end_hold(txid xid8, discarded_by text) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $body$
declare
    ended bigint;
begin
    update _auth0_sync.held h set ended_at = now()
    where h.schema = {schema_literal} and h.txid = _end_hold.txid and h.ended_at is null;
    if not found then
        raise exception using
            errcode = '42704',
            message = format('[Auth0] transaction %s holds nothing', txid),
            hint = 'Held changes have the state held in {schema_text}._sync_cdc, with the txid of their transaction.';
    end if;
    update {schema}._sync_cdc c
    set state = 'pending',
        options = case
            when discarded_by is null then c.options
            else coalesce(c.options, '{}') || jsonb_build_object('discarded_by', discarded_by)
        end
    where c.txid = _end_hold.txid and c.state = 'held';
    get diagnostics ended = row_count;
    -- The replication stream tells inserts alone. It is rare enough for the lock that NOTIFY takes on commit.
    perform pg_notify('auth0_sync_wake', {schema_literal});
    return ended;
end
$body$;
