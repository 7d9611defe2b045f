create table _auth0_sync.strict_key (
    schema text primary key references _auth0_sync.tenant,
    inner_key bytea not null check (octet_length(inner_key) = 64),
    outer_key bytea not null check (octet_length(outer_key) = 64)
);
comment on table _auth0_sync.strict_key is
    'What the triggers prove themselves with to the service: the two padded halves of an HMAC-SHA256 key.';

create sequence _auth0_sync.strict_statement;
comment on sequence _auth0_sync.strict_statement is 'Numbers the questions of strict statements; none comes twice.';

create table _auth0_sync.intent (
    schema text not null references _auth0_sync.tenant,
    statement bigint not null,
    place integer not null,
    txid xid8 not null,
    "table" text not null,
    operation text not null check (operation in ('INSERT', 'UPDATE', 'DELETE')),
    key jsonb not null,
    before jsonb,
    after jsonb,
    sealed boolean not null,
    request_id text not null,
    state text not null default 'calling' check (state in ('calling', 'applied')),
    made jsonb,
    created_at timestamptz not null default clock_timestamp(),
    primary key (schema, statement, place),
    check (made is null or state = 'applied')
);
comment on table _auth0_sync.intent is
    'Changes of strict statements on their way to Auth0; a row goes when its transaction has ended and Auth0 is equal.';
comment on column _auth0_sync.intent.place is 'Place among the rows of the statement.';
comment on column _auth0_sync.intent.sealed is 'Whether write-only values went with it; these cannot be put back.';
comment on column _auth0_sync.intent.request_id is
    'Stands in _sync_cdc too once the change is committed: that decides between keeping it and taking it back.';
comment on column _auth0_sync.intent.state is
    'calling: a call may have left; applied: Auth0 has it, and the statement may have been told so.';
comment on column _auth0_sync.intent.made is 'The key that the row has at Auth0, of an INSERT.';

-- Lost in a crash of Postgres, and with it every statement that waits for an answer.
create unlogged table _auth0_sync.reply (
    schema text not null,
    statement bigint not null,
    answer jsonb not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (schema, statement)
);
comment on table _auth0_sync.reply is 'Answers to strict statements that wait.';

create unlogged table _auth0_sync.answered (
    txid xid8 not null,
    schema text not null,
    "table" text not null,
    key jsonb not null,
    request_id text not null,
    primary key (txid, schema, request_id)
);
comment on table _auth0_sync.answered is
    'Rows of a strict INSERT that Auth0 has already; filled and emptied within the client''s own statement.';
