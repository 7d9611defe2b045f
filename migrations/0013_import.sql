create table _auth0_sync.import (
    schema text not null references _auth0_sync.tenant,
    request_id text not null,
    "table" text not null,
    rows bigint not null,
    job text,
    doubtful boolean not null default false,
    begun_at timestamptz not null default now(),
    primary key (schema, request_id)
);
comment on table _auth0_sync.import is
    'Files of new rows that Auth0 works off; their mutations have the same request_id. A row goes when all of them are settled or go on one by one.';
comment on column _auth0_sync.import.rows is 'How many rows the file has.';
comment on column _auth0_sync.import.job is 'The job at Auth0; NULL until Auth0 has told it.';
comment on column _auth0_sync.import.doubtful is 'The answer to an earlier try was lost: what Auth0 has already may be ours.';
