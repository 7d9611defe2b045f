with told as (
    delete from _auth0_sync.reply where schema = $1 and statement = any ($3)
)
delete from _auth0_sync.intent where schema = $1 and txid = $2::text::xid8
