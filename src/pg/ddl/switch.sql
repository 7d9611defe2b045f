-- Whether a setting of the session is on; what Postgres takes for a boolean, and an error that names the setting.
create or replace function {schema}._switch(setting text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $body$
declare
    given text := lower(btrim(coalesce(current_setting(setting, true), '')));
begin
    if given in ('', '0', 'of', 'off') or starts_with('false', given) or starts_with('no', given) then
        return false;
    end if;
    if given in ('1', 'on') or starts_with('true', given) or starts_with('yes', given) then
        return true;
    end if;
    raise exception using
        errcode = '22023',
        message = format('[Auth0] invalid value for setting "%s": "%s"', setting, current_setting(setting, true)),
        hint = 'One of: on, off.';
end
$body$;
