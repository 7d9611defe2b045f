select
    t.filled_at is not null and t.filled_mailed_at is null,
    count(*) filter (where b.state = 'done'),
    coalesce(sum(b.rows) filter (where b.state = 'done'), 0)::bigint,
    count(*) filter (where b.state in ('failed', 'unavailable')),
    coalesce(
        array_agg(b."table" order by b."table") filter (where b.state = 'failed' and b.mailed_at is null), '{}'
    )
from _auth0_sync.tenant t
left join _auth0_sync.backfill b on b.schema = t.schema
where t.schema = $1
group by t.schema
