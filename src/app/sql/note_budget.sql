with now_there as (
    select * from unnest($2::text[], $3::bigint[], $4::float8[]) as f (bucket, available, per_second)
), gone as (
    delete from _auth0_sync.budget b
    where b.schema = $1 and not exists (select from now_there f where f.bucket = b.bucket)
)
insert into _auth0_sync.budget (schema, bucket, available, per_second)
select $1, f.bucket, f.available, f.per_second from now_there f
on conflict (schema, bucket) do update
set available = excluded.available, per_second = excluded.per_second, noted_at = now()
