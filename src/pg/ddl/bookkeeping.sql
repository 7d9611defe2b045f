create table if not exists {schema}._sync_cdc (
    id bigint generated always as identity primary key,
    txid xid8 not null default pg_current_xact_id(),
    "table" text not null,
    operation text not null,
    key jsonb not null,
    before jsonb,
    after jsonb,
    state text not null default 'pending',
    attempts integer not null default 0,
    error jsonb,
    request_id text,
    actor jsonb not null,
    created_at timestamptz not null default clock_timestamp(),
    settled_at timestamptz,
    options jsonb
);
create index if not exists _sync_cdc_unsettled on {schema}._sync_cdc (key) where settled_at is null;
create index if not exists _sync_cdc_txid on {schema}._sync_cdc (txid);
comment on table {schema}._sync_cdc is
    'Every change that clients made to mirror tables, and what became of it at Auth0.';
comment on column {schema}._sync_cdc.id is 'Order of the changes of one row.';
comment on column {schema}._sync_cdc.txid is 'Transaction that made the change.';
comment on column {schema}._sync_cdc."table" is 'Mirror table.';
comment on column {schema}._sync_cdc.operation is 'INSERT, UPDATE or DELETE.';
comment on column {schema}._sync_cdc.key is 'Primary key of the row.';
comment on column {schema}._sync_cdc.before is 'What Auth0 had in the changed columns; the whole row for a DELETE.';
comment on column {schema}._sync_cdc.after is 'What the client wrote into the changed columns.';
comment on column {schema}._sync_cdc.attempts is 'How often a request left for Auth0.';
comment on column {schema}._sync_cdc.error is 'Why it was not applied: kind, status, error, message, errorCode.';
comment on column {schema}._sync_cdc.request_id is 'X-Correlation-ID of the request; stands in Auth0''s tenant log.';
comment on column {schema}._sync_cdc.actor is 'Who made the change: session_user, application_name, pid.';
comment on column {schema}._sync_cdc.created_at is 'When the change was made.';
comment on column {schema}._sync_cdc.settled_at is 'When its outcome became final.';
comment on column {schema}._sync_cdc.options is 'What its client has asked beyond the change itself, and what became of that.';
