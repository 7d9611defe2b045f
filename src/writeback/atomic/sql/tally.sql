select count(*) filter (where state = 'applied'), count(*) filter (where settled_at is null and state <> 'applied'),
    count(*) filter (where state in ('reverted', 'cancelled'))
from {schema}."_sync_cdc" where txid = $1::text::xid8 and options ? 'atomic'
