select
    count(*) as tables,
    count(s.finished_at) as compared,
    extract(epoch from clock_timestamp() - max(s.finished_at))::float8 as last_seconds,
    extract(epoch from clock_timestamp() - min(greatest(b.finished_at, s.finished_at)))::float8 as oldest_seconds,
    count(*) filter (where s.asked_at > coalesce(s.finished_at, '-infinity')) as asked,
    coalesce(
        array_agg(b."table" order by b."table") filter (where s.started_at > coalesce(s.finished_at, '-infinity')), '{}'
    ) as under_way,
    coalesce(jsonb_object_agg(b."table", s.error) filter (where s.error is not null), '{}') as errors
from _auth0_sync.backfill b
left join _auth0_sync.sweep s using (schema, "table")
where b.schema = $1 and b.state = 'done' and b."table" = any ($2)
