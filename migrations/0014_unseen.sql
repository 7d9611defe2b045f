create table _auth0_sync.unseen (
    schema text not null references _auth0_sync.tenant,
    mutation_id bigint not null,
    txid xid8 not null,
    "table" text not null,
    operation text not null check (operation in ('INSERT', 'UPDATE', 'DELETE')),
    key jsonb not null,
    before jsonb,
    after jsonb,
    request_id text,
    sealed bytea,
    told_at timestamptz not null default clock_timestamp(),
    primary key (schema, mutation_id)
);
comment on table _auth0_sync.unseen is
    'Changes that Auth0 is to have before their COMMIT returns, so that no session can see them yet; a row goes when it can be seen.';
comment on column _auth0_sync.unseen.request_id is 'The call that may have left; NULL where none has.';
comment on column _auth0_sync.unseen.sealed is 'Write-only values of its transaction, under the key of strict writes.';
