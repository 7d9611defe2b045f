create table _auth0_sync.webhook_key (
    schema text not null references _auth0_sync.tenant,
    id bigint generated always as identity,
    key bytea not null check (octet_length(key) = 32),
    made_at timestamptz not null default now(),
    primary key (schema, id)
);
comment on table _auth0_sync.webhook_key is
    'What Auth0 proves itself with at the webhook; the newest is given to it, the one before still counts for a while.';

create table _auth0_sync.webhook_seen (
    schema text not null references _auth0_sync.tenant,
    id text not null,
    received_at timestamptz not null default now(),
    primary key (schema, id)
);
create index webhook_seen_received on _auth0_sync.webhook_seen (received_at);
comment on table _auth0_sync.webhook_seen is
    'Messages of the last minutes: none counts twice, a restart in between included.';

create table _auth0_sync.webhook_own (
    schema text not null references _auth0_sync.tenant,
    part text not null,
    key text not null,
    digest text not null,
    updated_at timestamptz not null default now(),
    primary key (schema, part)
);
comment on table _auth0_sync.webhook_own is
    'What the service has made at Auth0 so that it reports by itself: an Action for each trigger, an event stream.';
