select
    b."table",
    coalesce(s.asked_at > coalesce(s.finished_at, '-infinity'), false) as asked,
    coalesce(s.gap, false) as gap,
    extract(epoch from clock_timestamp() - greatest(b.finished_at, s.finished_at))::float8 as age,
    s.lists
from _auth0_sync.backfill b
left join _auth0_sync.sweep s using (schema, "table")
where b.schema = $1 and b.state = 'done'
