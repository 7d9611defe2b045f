-- For a `_sync_cdc` that an earlier version has made.
alter table {schema}._sync_cdc add column options jsonb;
comment on column {schema}._sync_cdc.options is 'What its client has asked beyond the change itself, and what became of that.';
