alter table _auth0_sync.tenant add column client_id text;
comment on column _auth0_sync.tenant.client_id is
    'The client that the service gets its tokens with; clients may neither delete it nor change what makes it work.';
