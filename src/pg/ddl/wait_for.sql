-- Waits until Auth0 has answered every change of one transaction; raises the first refusal.
create or replace function {schema}.wait_for(txid xid8, timeout interval default '30 seconds') returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $body$
declare
    deadline timestamptz := clock_timestamp() + timeout;
    pause double precision := 0.002;
    refused record;
    waiting bigint;
begin
    if txid = pg_current_xact_id_if_assigned() then
        raise exception using
            errcode = '25001',
            message = '[Auth0] the change is not committed yet',
            hint = 'COMMIT first, then wait: Auth0 hears of a change when it is committed.';
    end if;
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        raise exception using
            errcode = '25001',
            message = '[Auth0] waiting needs READ COMMITTED',
            hint = 'In ' || upper(current_setting('transaction_isolation')) || ' the answer would never be seen.';
    end if;
    if exists (
        select from _auth0_sync.held h
        where h.schema = {schema_literal} and h.txid = wait_for.txid and h.ended_at is null
    ) then
        raise exception using
            errcode = '55000',
            message = format('[Auth0] the changes of transaction %s are held', txid),
            hint = format('select {schema_text}.release(%L) sends them, select {schema_text}.discard(%L) takes them back.',
                txid::text, txid::text);
    end if;
    loop
        select count(*) into waiting from {schema}._sync_cdc c
        where c.settled_at is null and c.txid = wait_for.txid;
        exit when waiting = 0;
        if clock_timestamp() >= deadline then
            raise exception using
                errcode = '57014',
                message = format('[Auth0] no answer within %s for %s changes', timeout, waiting),
                hint = 'Nothing is lost: they are sent when Auth0 answers again. See {schema_text}._sync_cdc.';
        end if;
        perform pg_sleep(pause);
        pause := least(pause * 1.5, 0.05);
    end loop;
    select c.id, c."table", c.error into refused from {schema}._sync_cdc c
    where c.txid = wait_for.txid and c.state in ('reverted', 'cancelled')
    -- What was refused, before what came back because of it.
    order by coalesce(c.error ->> 'kind', '') in ('rolled_back', 'cancelled'), c.id limit 1;
    if found then
        raise exception using
            errcode = '22023',
            message = '[Auth0] ' || coalesce(refused.error ->> 'message', 'refused'),
            detail = format('status %s, errorCode %s, mutation %s',
                coalesce(refused.error ->> 'status', '-'), coalesce(refused.error ->> 'errorCode', '-'), refused.id),
            schema = {schema_literal},
            table = refused."table";
    end if;
    return 'confirmed';
end
$body$;
comment on function {schema}.wait_for(xid8, interval) is
    'Waits until Auth0 has answered every change of one transaction; raises the first refusal.';
