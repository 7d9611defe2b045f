select key from _auth0_sync.export_again where schema = $1 and "table" = $2
