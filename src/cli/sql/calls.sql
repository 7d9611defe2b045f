select lane,
    coalesce(sum(calls) filter (where slot >= date_trunc('day', now(), 'UTC')), 0)::bigint,
    coalesce(sum(calls) filter (where slot > now() - interval '24 hours'), 0)::bigint,
    coalesce(sum(throttled) filter (where slot > now() - interval '24 hours'), 0)::bigint
from _auth0_sync.calls
where schema = $1 and slot > now() - interval '25 hours'
group by lane
