-- For a `_sync_cdc` that an earlier version has made.
alter table {schema}._sync_cdc drop constraint state_known;
alter table {schema}._sync_cdc add constraint state_known check (
    state in ('held', 'pending', 'sending', 'verifying', 'applied', 'confirmed', 'reverted', 'merged', 'cancelled')
);
comment on column {schema}._sync_cdc.state is
    'held, pending, sending, verifying, applied (its transaction is not decided); settled: confirmed, reverted, merged (sent with a later change), cancelled.';
