select id, state, key from {schema}."_sync_cdc"
where txid = $1::text::xid8 and options ? 'atomic' order by id
