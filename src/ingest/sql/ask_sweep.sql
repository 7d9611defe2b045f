insert into _auth0_sync.sweep (schema, "table", asked_at, gap)
select $1, t, clock_timestamp(), $3 from unnest($2::text[]) t
on conflict (schema, "table") do update set
    asked_at = excluded.asked_at,
    -- A comparison that is still to come keeps the reason that asks for more.
    gap = excluded.gap or (sweep.gap and coalesce(sweep.asked_at > sweep.finished_at, true))
