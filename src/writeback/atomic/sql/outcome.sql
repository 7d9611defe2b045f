-- The refusal first: the others came back because of it.
select id, "table", key, operation, error,
    count(*) over () as mutations, count(*) filter (where options ? 'kept') over () as kept
from {schema}."_sync_cdc"
where txid = $1::text::xid8 and options ? 'atomic'
order by state not in ('reverted', 'cancelled'), coalesce(error ->> 'kind', '') in ('rolled_back', 'cancelled'), id
limit 1
