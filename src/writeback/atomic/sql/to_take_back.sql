select id, "table", operation, key, before, after, state, options -> 'base'
from {schema}."_sync_cdc"
where txid = $1::text::xid8 and options ? 'atomic' and settled_at is null
order by id desc
