select
    b."table",
    b.state,
    coalesce(s.finished_at >= s.asked_at, s.asked_at is null and s.finished_at is not null) as over,
    s.rows,
    s.error,
    coalesce((
        select sum(d.inserted + d.updated + d.deleted)
        from _auth0_sync.drift d
        where d.schema = b.schema and d."table" = b."table"
    ), 0)::int8 as drift
from _auth0_sync.backfill b
left join _auth0_sync.sweep s using (schema, "table")
where b.schema = $1 and b."table" = any ($2)
order by b."table"
