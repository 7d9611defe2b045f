select c.request_id, c.id from {schema}."_sync_cdc" c
where c.txid = $1::text::xid8 and c.request_id = any ($2)
