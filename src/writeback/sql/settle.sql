with outcome as (
    select * from unnest($1::bigint[], $2::text[], $3::jsonb[]) as o (id, state, error)
), spent as (
    delete from _auth0_sync.write_only where schema = $5 and mutation_id = any ($1)
    returning mutation_id, "column"
), lost as (
    -- Nobody can write these values again: that there were some is kept.
    select mutation_id, jsonb_build_object('write_only', jsonb_agg(distinct "column")) as what from spent group by 1
), settled as (
    update {schema}."_sync_cdc" c
    set state = o.state, error = o.error, settled_at = case when o.state <> 'applied' then clock_timestamp() end,
        options = case when l.what is null then c.options else coalesce(c.options, '{}') || l.what end
    from outcome o left join lost l on l.mutation_id = o.id
    -- Not by the index of what is unsettled, which is as long as that.
    where c.id = any ($1) and c.id = o.id and coalesce(c.settled_at, 'infinity') = 'infinity'
    returning c.id
), told as (
    select pg_catalog.pg_notify('auth0_sync', note) from unnest($4::text[]) as n (note)
), counted as (
    select (select count(*) from settled) + 0 * (select count(*) from told) as settled
)
select {settled} from counted
