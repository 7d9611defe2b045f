alter table _auth0_sync.tenant add column client_id text;
comment on column _auth0_sync.tenant.client_id is
    'The client that the service gets its tokens with; clients may neither delete it nor change what makes it work.';

create table _auth0_sync.held (
    schema text not null references _auth0_sync.tenant,
    txid xid8 not null,
    held_by text not null,
    held_at timestamptz not null default now(),
    ended_at timestamptz,
    primary key (schema, txid)
);
comment on table _auth0_sync.held is
    'Transactions whose changes wait until somebody releases or discards them; a row goes when all of them are settled.';
comment on column _auth0_sync.held.ended_at is 'When that was. The changes go out before later ones of the same rows all the same.';

create table _auth0_sync.made_key (
    schema text not null references _auth0_sync.tenant,
    "table" text not null,
    provisional text not null,
    made text not null,
    made_at timestamptz not null default now(),
    primary key (schema, "table", provisional)
);
comment on table _auth0_sync.made_key is
    'What Auth0 has called rows that had a provisional key: whoever got that from INSERT … RETURNING may go on to use it.';

create table _auth0_sync.budget (
    schema text not null references _auth0_sync.tenant,
    bucket text not null,
    available bigint not null,
    per_second double precision,
    noted_at timestamptz not null default now(),
    primary key (schema, bucket)
);
comment on table _auth0_sync.budget is
    'How many calls of the Management API each limit lets through, a few seconds old; plan() reads it.';
comment on column _auth0_sync.budget.available is 'Calls that could leave at once.';
comment on column _auth0_sync.budget.per_second is 'Calls that follow, without the reserve; NULL where only answers tell.';

create table _auth0_sync.call_group (
    schema text not null references _auth0_sync.tenant,
    method text not null,
    path text not null,
    buckets text[] not null,
    primary key (schema, method, path)
);
comment on table _auth0_sync.call_group is 'Which limits hold for each writing call of the catalogue.';
