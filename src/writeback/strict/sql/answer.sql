-- It need not be flushed: whoever has seen the reply commits behind it, so that it is on disk where their commit is.
-- The lock that the statement waits for goes from the session to this transaction, so that it ends when the reply is seen.
with soon as materialized (
    select pg_catalog.set_config('synchronous_commit', 'off', true)
), rung as materialized (
    select count(pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($6, 0))),
        count(pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended($6, 0)))
    from (select) one where $6 is not null
), told as (
    insert into _auth0_sync.reply (schema, statement, answer) select $1, $2, $3 from soon, rung on conflict do nothing
), undone as (
    delete from _auth0_sync.intent where schema = $1 and statement = $2 and place = any ($4)
)
update _auth0_sync.intent i
set state = 'applied', made = m.made
from unnest($5::integer[], $7::jsonb[]) as m (place, made)
where i.schema = $1 and i.statement = $2 and i.place = m.place
