alter table _auth0_sync.tenant add column selection text;
comment on column _auth0_sync.tenant.selection is
    'Digest of the tables and columns that setup has made; a service that is told of others does not start.';
