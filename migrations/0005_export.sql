create table _auth0_sync.export (
    schema text not null references _auth0_sync.tenant,
    "table" text not null,
    job text not null,
    job_created_at timestamptz,
    began_with_rows boolean not null,
    etag text,
    ranges boolean not null default false,
    bytes bigint not null default 0,
    rows bigint not null default 0,
    started_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (schema, "table")
);
comment on table _auth0_sync.export is 'Exports of Auth0''s that are being read; a row goes when all of its file is stored.';
comment on column _auth0_sync.export.job is 'The job at Auth0; it lives for 24 hours.';
comment on column _auth0_sync.export.began_with_rows is 'Whether the mirror had rows before: those that the export does not show are asked for by key.';
comment on column _auth0_sync.export.etag is 'Which file the position belongs to.';
comment on column _auth0_sync.export.ranges is 'Whether the file can be fetched from a position on.';
comment on column _auth0_sync.export.bytes is 'Position: so many bytes of the unpacked file are stored.';

create table _auth0_sync.export_seen (
    schema text not null,
    "table" text not null,
    position bigint not null,
    digests bytea not null,
    primary key (schema, "table", position),
    foreign key (schema, "table") references _auth0_sync.export on delete cascade
);
comment on table _auth0_sync.export_seen is 'Keys that the export has shown, as digests of 8 bytes each.';

create table _auth0_sync.export_again (
    schema text not null,
    "table" text not null,
    key text[] not null,
    primary key (schema, "table", key),
    foreign key (schema, "table") references _auth0_sync.export on delete cascade
);
comment on table _auth0_sync.export_again is 'Rows that could not be taken from the export and are read by key at its end.';

create table _auth0_sync.export_gone (
    schema text not null,
    "table" text not null,
    key text[] not null,
    primary key (schema, "table", key),
    foreign key (schema, "table") references _auth0_sync.export on delete cascade
);
comment on table _auth0_sync.export_gone is 'Rows deleted since the export began: it may show them still.';
