-- Under remote_apply the service sends changes before it can see them: what stands beside them goes along, sealed.
create or replace function {schema}._tell_aside() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $body$
declare
    told jsonb;
begin
    select jsonb_agg(jsonb_build_object('id', w.mutation_id, 'column', w."column", 'value', w.value) order by w.id)
    into told
    from (
        select * from _auth0_sync.write_only w
        where w.schema = {schema_literal} and w.txid = pg_current_xact_id() and w.mutation_id is not null
        limit 41
    ) w;
    -- Sealing takes its time: much is sent when it can be seen.
    if jsonb_array_length(told) <= 40 and length(told::text) <= 8000
        and exists (select from _auth0_sync.strict_key k where k.schema = {schema_literal})
    then
        perform pg_logical_emit_message(true, 'auth0_sync.aside', {schema}._strict_seal(told));
    end if;
end
$body$;
