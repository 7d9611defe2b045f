insert into _auth0_sync.import (schema, request_id, "table", rows)
values ($1, $2, $3, $4)
