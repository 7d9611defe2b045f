select "table", source, inserted, updated, deleted,
    extract(epoch from clock_timestamp() - last_found_at)::float8 as seconds
from _auth0_sync.drift
where schema = $1
order by "table", source
