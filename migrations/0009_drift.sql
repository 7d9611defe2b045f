create table _auth0_sync.sweep (
    schema text not null references _auth0_sync.tenant,
    "table" text not null,
    asked_at timestamptz,
    gap boolean not null default false,
    lists bigint,
    rows bigint,
    started_at timestamptz,
    finished_at timestamptz,
    error text,
    primary key (schema, "table")
);
comment on table _auth0_sync.sweep is 'When each mirror table was last compared with Auth0 as a whole.';
comment on column _auth0_sync.sweep.asked_at is
    'When somebody or something last asked for a comparison outside the schedule; it is over when finished_at is later.';
comment on column _auth0_sync.sweep.gap is
    'A live source has lost its place: what is found differs for that reason and counts as no drift.';
comment on column _auth0_sync.sweep.lists is 'How many lists the last comparison took.';

create table _auth0_sync.drift (
    schema text not null references _auth0_sync.tenant,
    "table" text not null,
    source text not null,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    deleted bigint not null default 0,
    first_found_at timestamptz not null default now(),
    last_found_at timestamptz not null default now(),
    primary key (schema, "table", source)
);
comment on table _auth0_sync.drift is
    'Rows that only a comparison of the whole table has brought up to date, by the source that should have told.';
comment on column _auth0_sync.drift.source is
    'Sources that cover the table, joined by +; none where Auth0 tells of such changes nowhere.';
