update {schema}."_sync_cdc" set options = options || pg_catalog.jsonb_build_object('kept', $2::jsonb) where id = $1
