alter table _auth0_sync.tenant
    add column paused_at timestamptz,
    add column paused_for text,
    add column writes jsonb;
comment on column _auth0_sync.tenant.paused_at is
    'Since when an operator wants nothing to be written to Auth0; changes are captured and wait.';
comment on column _auth0_sync.tenant.paused_for is 'Why, in the operator''s words.';
comment on column _auth0_sync.tenant.writes is
    'How writes to Auth0 were doing when that was last told by NOTIFY; null: nothing has ever kept them waiting.';
