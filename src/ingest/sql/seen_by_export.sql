select digests from _auth0_sync.export_seen where schema = $1 and "table" = $2
