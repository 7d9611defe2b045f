delete from _auth0_sync.export where schema = $1 and "table" = $2
