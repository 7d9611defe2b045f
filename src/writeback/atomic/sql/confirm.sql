update {schema}."_sync_cdc" set state = 'confirmed', settled_at = clock_timestamp()
where txid = $1::text::xid8 and options ? 'atomic' and state = 'applied'
returning id
