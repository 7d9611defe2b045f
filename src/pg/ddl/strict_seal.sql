-- Hides values that must not stand in the log of changes: a nonce, and the text under a stream made from the key.
create or replace function {schema}._strict_seal(secrets jsonb) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $body$
declare
    plain bytea := convert_to(secrets::text, 'UTF8');
    sealed bytea := plain;
    nonce bytea := uuid_send(gen_random_uuid());
    pad bytea;
begin
    if secrets is null then
        return null;
    end if;
    for place in 0..octet_length(plain) - 1 loop
        if place % 32 = 0 then
            pad := {schema}._strict_mac(convert_to('seal', 'UTF8') || nonce || int4send(place / 32));
        end if;
        sealed := set_byte(sealed, place, get_byte(plain, place) # get_byte(pad, place % 32));
    end loop;
    return encode(nonce || sealed, 'hex');
end
$body$;
