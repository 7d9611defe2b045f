create table _auth0_sync.to_read (
    id bigint generated always as identity primary key,
    schema text not null references _auth0_sync.tenant,
    target jsonb not null,
    asked_at timestamptz not null default clock_timestamp()
);
comment on table _auth0_sync.to_read is
    'What the mirror may show otherwise than Auth0 has it, by what a write or a reading has shown, and nothing else would tell again; a row goes when that has been read.';
comment on column _auth0_sync.to_read.target is 'A table, with "key" one row of it, with "below" what lists show below that row, with "list" and "parent" what one list shows, with "values" a part of an export.';
