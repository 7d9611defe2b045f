select distinct txid::text from {schema}."_sync_cdc"
where txid = any ($1::text[]::xid8[]) and options ? 'atomic' and state in ('reverted', 'cancelled')
