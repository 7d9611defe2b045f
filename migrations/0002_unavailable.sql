alter table _auth0_sync.backfill drop constraint backfill_state_check;
alter table _auth0_sync.backfill add constraint backfill_state_check
    check (state in ('waiting', 'running', 'done', 'failed', 'unavailable'));
comment on column _auth0_sync.backfill.state is
    'waiting, running, done; unavailable: Auth0 refuses to show the table, error has its words; failed: anything else.';
