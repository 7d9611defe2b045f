select key from _auth0_sync.export_gone where schema = $1 and "table" = $2
