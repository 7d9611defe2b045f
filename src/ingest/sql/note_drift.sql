insert into _auth0_sync.drift (schema, "table", source, inserted, updated, deleted)
values ($1, $2, $3, $4, $5, $6)
on conflict (schema, "table", source) do update set
    inserted = drift.inserted + excluded.inserted,
    updated = drift.updated + excluded.updated,
    deleted = drift.deleted + excluded.deleted,
    last_found_at = now()
