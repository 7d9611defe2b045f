create table _auth0_sync.tenant (
    schema text primary key,
    domain text not null,
    instance text not null default replace(gen_random_uuid()::text, '-', ''),
    created_at timestamptz not null default now()
);
comment on column _auth0_sync.tenant.instance is
    'Start of every X-Correlation-ID that the service sends; tells its own writes in tenant logs.';
comment on table _auth0_sync.tenant is 'Tenants that this database mirrors, each in a schema of its own.';

create table _auth0_sync.mirror (
    schema text not null references _auth0_sync.tenant,
    "table" text not null,
    created_at timestamptz not null default now(),
    primary key (schema, "table")
);
comment on table _auth0_sync.mirror is 'Tables that setup made; a table of the same name that is not listed here is somebody else''s.';

create table _auth0_sync.checkpoint (
    schema text not null references _auth0_sync.tenant,
    source text not null,
    position text not null,
    updated_at timestamptz not null default now(),
    primary key (schema, source)
);
comment on table _auth0_sync.checkpoint is 'How far each live source of Auth0 has been read.';

create table _auth0_sync.backfill (
    schema text not null references _auth0_sync.tenant,
    "table" text not null,
    state text not null check (state in ('waiting', 'running', 'done', 'failed')),
    rows bigint not null default 0,
    error text,
    started_at timestamptz,
    finished_at timestamptz,
    primary key (schema, "table"),
    check ((state = 'done') = (finished_at is not null))
);
comment on table _auth0_sync.backfill is 'Progress of the first filling of each mirror table.';

create table _auth0_sync.write_only (
    id bigint generated always as identity primary key,
    schema text not null,
    "table" text not null,
    key jsonb not null,
    "column" text not null,
    value jsonb not null,
    txid xid8 not null,
    mutation_id bigint
);
create index write_only_txid on _auth0_sync.write_only (txid);
create index write_only_mutation on _auth0_sync.write_only (schema, mutation_id);
comment on table _auth0_sync.write_only is
    'Values of write-only columns (passwords, …) on their way to Auth0; a row goes when its mutation settles.';
