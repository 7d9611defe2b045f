with was as (
    select t.schema, t.filling_at, t.filled_at is null as first
    from _auth0_sync.tenant t
    where t.schema = $1
        and t.filling_at is not null
        and not exists (
            select from _auth0_sync.backfill b
            where b.schema = $1 and b."table" = any ($2) and b.state in ('waiting', 'running')
        )
    for update
), ended as (
    update _auth0_sync.tenant t
    set filled_at = coalesce(t.filled_at, now()), filling_at = null
    from was
    where t.schema = was.schema
    returning was.filling_at, was.first
), sums as (
    select
        count(*) filter (where b.state = 'done' and b.finished_at >= e.filling_at) as tables,
        (coalesce(sum(b.rows) filter (where b.state = 'done' and b.finished_at >= e.filling_at), 0))::bigint as rows,
        extract(epoch from clock_timestamp() - e.filling_at)::float8 as seconds,
        count(*) filter (where b.state in ('failed', 'unavailable')) as unfilled,
        e.first
    from ended e
    left join _auth0_sync.backfill b on b.schema = $1 and b."table" = any ($2)
    group by e.filling_at, e.first
)
select
    tables, rows, seconds, unfilled, first,
    pg_catalog.pg_notify(
        'auth0_sync',
        json_build_object(
            'event', 'backfilled', 'schema', $1, 'tables', tables, 'rows', rows,
            'seconds', round(seconds::numeric, 3), 'unfilled', unfilled
        )::text
    ) is null as told
from sums
