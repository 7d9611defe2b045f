select puballtables, pubinsert and not pubupdate and not pubdelete and not pubtruncate
from pg_catalog.pg_publication
where pubname = 'auth0_sync'
