insert into _auth0_sync.to_read (schema, target)
select $1, t.target from unnest($2::jsonb[]) with ordinality as t (target, n) order by t.n
returning id
