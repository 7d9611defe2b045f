-- What is lost of it with the server's last moments is decided anew, and nothing comes of that.
with soon as materialized (
    select pg_catalog.set_config('synchronous_commit', 'off', true)
), told as (
    delete from _auth0_sync.reply using soon where schema = $1 and statement = any ($3)
), gone as (
    delete from _auth0_sync.intent where schema = $1 and txid = $2::text::xid8
)
select count(pg_catalog.pg_notify('auth0_sync', note)) from unnest($4::text[]) as n (note)
