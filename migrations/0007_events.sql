alter table _auth0_sync.checkpoint add column told_at timestamptz;
comment on column _auth0_sync.checkpoint.position is
    'Of the log its last entry, of events the offset behind the last one; empty where there was none yet.';
comment on column _auth0_sync.checkpoint.told_at is
    'Auth0''s time at that position, where the source tells it: events are taken up there when their offset has expired.';
