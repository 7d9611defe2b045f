with now_there as (
    select c.method, c.path, string_to_array(c.buckets, E'\n') as buckets
    from unnest($2::text[], $3::text[], $4::text[]) as c (method, path, buckets)
), gone as (
    delete from _auth0_sync.call_group g
    where g.schema = $1
        and not exists (select from now_there c where c.method = g.method and c.path = g.path)
)
insert into _auth0_sync.call_group (schema, method, path, buckets)
select $1, c.method, c.path, c.buckets from now_there c
on conflict (schema, method, path) do update set buckets = excluded.buckets
where call_group.buckets is distinct from excluded.buckets
