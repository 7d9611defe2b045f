create table _auth0_sync.calls (
    schema text not null references _auth0_sync.tenant,
    slot timestamptz not null,
    lane text not null check (lane in ('write', 'refetch', 'sweep', 'backfill', 'token')),
    calls bigint not null,
    throttled bigint not null default 0,
    primary key (schema, slot, lane)
);
comment on table _auth0_sync.calls is
    'How many calls to Auth0 were made in each ten minutes, by what they were for; kept for 30 days.';
comment on column _auth0_sync.calls.slot is 'Start of the ten minutes.';
comment on column _auth0_sync.calls.lane is
    'write, refetch, sweep, backfill; token: requests for an access token, which count for no limit of the Management API.';
comment on column _auth0_sync.calls.throttled is 'Those of them that Auth0 answered 429.';
