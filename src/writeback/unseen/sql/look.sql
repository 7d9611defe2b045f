select
    exists (select from {schema}."_sync_cdc" c where c.id = a.id),
    a.xid is null or exists (
        select from pg_catalog.pg_locks l
        where l.locktype = 'transactionid' and l.transactionid = a.xid::text::xid and l.granted and l.mode = 'ExclusiveLock'
    )
from unnest($1::bigint[], $2::bigint[]) with ordinality as a (id, xid, place)
order by a.place
