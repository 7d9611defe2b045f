-- What a transaction with auth0.atomic may hold: nothing that was written without it, and no more than can be taken back
-- in reasonable time.
create or replace function {schema}._check_atomic() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $body$
declare
    most constant integer := 1000;
    own bigint;
    others bigint;
begin
    select count(*) filter (where c.options ? 'atomic'), count(*) filter (where not coalesce(c.options ? 'atomic', false))
    into own, others
    from {schema}._sync_cdc c
    where c.txid = pg_current_xact_id();
    if others > 0 then
        raise exception using
            errcode = '55000',
            message = '[Auth0] auth0.atomic is set too late: the transaction has changes already that would not be taken back',
            hint = 'Set it first: begin; set local auth0.atomic = on; …';
    end if;
    if own > most then
        raise exception using
            errcode = '54000',
            message = format('[Auth0] the transaction has %s changes, auth0.atomic allows %s', own, most),
            hint = 'Divide it into smaller ones, or leave auth0.atomic off: each change is then decided by itself.';
    end if;
end
$body$;
