insert into _auth0_sync.calls as counted (schema, slot, lane, calls, throttled)
select $1, date_bin('10 minutes', now(), timestamptz '2000-01-01 00:00:00+00'), lane, calls, throttled
from unnest($2::text[], $3::bigint[], $4::bigint[]) as made (lane, calls, throttled)
on conflict (schema, slot, lane) do update set
    calls = counted.calls + excluded.calls,
    throttled = counted.throttled + excluded.throttled
