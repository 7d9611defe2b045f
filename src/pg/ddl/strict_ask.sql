-- Asks the service to make these changes at Auth0 now and waits for its answer: one for each, in their order.
create or replace function {schema}._strict_ask(changes jsonb) returns jsonb
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = 0
as $body$
declare
    mode text := current_setting('auth0.write_mode', true);
    given text := coalesce(nullif(current_setting('auth0.strict_timeout', true), ''), '10 seconds');
    mine bigint;
    patience interval;
    deadline timestamptz;
    question text;
    asked timestamptz;
    bell bigint;
    rings boolean := false;
    told jsonb;
    refused jsonb;
begin
    if mode <> 'strict' then
        raise exception using
            errcode = '22023',
            message = format('[Auth0] invalid value for parameter "auth0.write_mode": "%s"', mode),
            hint = 'One of: async, strict';
    end if;
    if current_setting('server_version_num')::integer < 170000 then
        raise exception using
            errcode = '0A000',
            message = '[Auth0] strict writes need Postgres 17 or later',
            hint = 'Below it there are two other ways: write, COMMIT and `select {schema_text}.wait()`, which raises a refusal; or asynchronously, with auth0.write_mode = async.';
    end if;
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        raise exception using
            errcode = '25001',
            message = '[Auth0] strict writes need READ COMMITTED',
            hint = 'In ' || upper(current_setting('transaction_isolation')) || ' the answer would never be seen.';
    end if;
    begin
        patience := given::interval;
    exception when data_exception then
        raise exception using
            errcode = '22023',
            message = format('[Auth0] invalid value for parameter "auth0.strict_timeout": "%s"', given),
            hint = 'For example 10 seconds';
    end;
    mine := nextval('_auth0_sync.strict_statement');
    deadline := clock_timestamp() + patience;
    question := jsonb_build_object(
        'schema', {schema_literal}, 'statement', mine, 'txid', pg_current_xact_id()::text,
        'until', extract(epoch from deadline)::double precision,
        'patience', extract(epoch from patience)::double precision, 'changes', changes)::text;
    question := encode({schema}._strict_mac(convert_to('ask' || question, 'UTF8')), 'hex') || question;
    -- Postgres 16 has no such function; what is not run there is not looked up.
    perform pg_logical_emit_message(false, 'auth0_sync.strict', convert_to(question, 'UTF8'), true);
    asked := clock_timestamp();
    -- The service holds this lock from before it asks Auth0 until its answer can be seen, where it has a
    -- connection to spare for it: waiting for the lock ends at once, a pause when it is over.
    bell := hashtextextended(format('%s.strict:%s', {schema_literal}, mine), 0);
    loop
        if not rings then
            -- So often that waiting costs little, and so rarely that looking does. Postgres rounds up to the
            -- next millisecond, and of a whole one it makes two.
            perform pg_sleep(least(greatest(extract(epoch from clock_timestamp() - asked) / 50, 0.0009), 0.0099));
        end if;
        rings := false;
        perform set_config('lock_timeout', ceil(greatest(least(
            extract(epoch from deadline - clock_timestamp()) * 1000, 100), 1))::text, true);
        begin
            perform pg_advisory_lock_shared(bell);
            perform pg_advisory_unlock_shared(bell);
        exception when lock_not_available then
            rings := true;
        end;
        select r.answer into told from _auth0_sync.reply r
        where r.schema = {schema_literal} and r.statement = mine;
        exit when found;
        if clock_timestamp() >= deadline then
            raise exception using
                errcode = '57014',
                message = format('[Auth0] no answer within %s; nothing is stored', given),
                hint = 'Is the service running? What Auth0 has taken all the same is taken back. See `auth0-sync status` and auth0.strict_timeout.';
        end if;
    end loop;
    refused := told -> 'refused';
    if refused is not null then
        raise exception using
            errcode = coalesce(refused ->> 'sqlstate', '22023'),
            message = '[Auth0] ' || coalesce(refused ->> 'message', 'refused'),
            detail = format('status %s, errorCode %s', coalesce(refused ->> 'status', '-'), coalesce(refused ->> 'errorCode', '-')),
            hint = coalesce(refused ->> 'hint', 'Nothing is stored, here or there.'),
            schema = {schema_literal},
            table = coalesce(refused ->> 'table', '');
    end if;
    return told -> 'answers';
end
$body$;
