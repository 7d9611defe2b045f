select inner_key from _auth0_sync.strict_key where schema = $1
