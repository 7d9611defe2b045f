-- One that has been replaced counts for an hour: as long as Actions may take to change, and their messages to come.
select k.key
from _auth0_sync.webhook_key k
where k.schema = $1
    and not exists (
        select from _auth0_sync.webhook_key newer
        where newer.schema = k.schema and newer.id > k.id and newer.made_at < now() - interval '1 hour'
    )
order by k.id desc
limit 2
