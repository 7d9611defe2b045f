-- Waits until Auth0 has answered every change that this session has committed; raises the first refusal.
create or replace function {schema}.wait(timeout interval default '30 seconds') returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $body$
declare
    noted text[] := string_to_array(nullif(current_setting('auth0.txids', true), ''), ',');
    -- Two-key advisory locks of this class are ours; the second key is the low half of a txid.
    class constant integer := 1098216560;
    reported bigint[];
    txid text;
begin
    if noted is null then
        return 'nothing to wait for';
    end if;
    -- A refusal that was raised once is not raised again; an advisory lock remembers it because
    -- raising rolls back every other trace.
    select array_agg(objid::bigint) into reported
    from pg_locks
    where locktype = 'advisory' and pid = pg_backend_pid() and objsubid = 2 and classid = class::oid;
    foreach txid in array noted loop
        if txid::bigint & 2147483647 = any (reported) then
            continue;
        end if;
        begin
            perform {schema}.wait_for(txid::xid8, timeout);
        exception
            when invalid_parameter_value then
                perform pg_advisory_lock(class, (txid::bigint & 2147483647)::integer);
                raise;
        end;
    end loop;
    perform pg_advisory_unlock(class, mark::integer) from unnest(reported) as marks (mark);
    perform set_config('auth0.txids', '', false);
    return 'confirmed';
end
$body$;
comment on function {schema}.wait(interval) is
    'Waits until Auth0 has answered every change that this session has committed; raises the first refusal.';
