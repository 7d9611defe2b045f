alter table _auth0_sync.backfill drop constraint backfill_state_check;
alter table _auth0_sync.backfill add constraint backfill_state_check
    check (state in ('waiting', 'running', 'done', 'failed', 'unavailable', 'skipped'));
alter table _auth0_sync.backfill
    add column method text check (method in ('export', 'search', 'list')),
    add column rows_expected bigint,
    add column calls bigint not null default 0,
    add column calls_expected bigint,
    add column minutes_expected double precision,
    add column asked_at timestamptz,
    add column updated_at timestamptz,
    add column mailed_at timestamptz;
comment on column _auth0_sync.backfill.state is
    'waiting, running, done; unavailable: Auth0 refuses to show the table, error has its words; failed: anything else; skipped: the configuration leaves it unfilled.';
comment on column _auth0_sync.backfill.method is
    'export: one job and one download; search: a search, in slices where it is long; list: pages of lists.';
comment on column _auth0_sync.backfill.rows is 'Rows read so far, while running at most a second old.';
comment on column _auth0_sync.backfill.rows_expected is 'How many rows Auth0 has, where it tells; an estimate before the filling.';
comment on column _auth0_sync.backfill.calls is 'Calls to the Management API so far.';
comment on column _auth0_sync.backfill.calls_expected is 'How many calls the filling takes at least, by estimate.';
comment on column _auth0_sync.backfill.minutes_expected is 'How long these take at the limits of the plan, less the reserve.';
comment on column _auth0_sync.backfill.asked_at is
    'When `auth0-sync backfill` asked for the table; it is filled even where the configuration skips it.';
comment on column _auth0_sync.backfill.mailed_at is 'When it was mailed that the table has failed.';

alter table _auth0_sync.tenant
    add column filling_at timestamptz,
    add column filled_at timestamptz,
    add column filled_mailed_at timestamptz;
comment on column _auth0_sync.tenant.filling_at is 'Since when tables are filled; NULL while none waits.';
comment on column _auth0_sync.tenant.filled_at is 'When every table had been filled for the first time.';
comment on column _auth0_sync.tenant.filled_mailed_at is 'When that was mailed.';
-- Whoever has been filled before is not told of it now.
update _auth0_sync.tenant t set filled_at = now(), filled_mailed_at = now()
where exists (select from _auth0_sync.backfill b where b.schema = t.schema and b.state = 'done')
    and not exists (
        select from _auth0_sync.backfill b where b.schema = t.schema and b.state in ('waiting', 'running')
    );
