with told as (
    insert into _auth0_sync.reply (schema, statement, answer) values ($1, $2, $3) on conflict do nothing
), undone as (
    delete from _auth0_sync.intent where schema = $1 and statement = $2 and place = any ($4)
)
update _auth0_sync.intent i
set state = 'applied', made = m.made
from unnest($5::integer[], $6::jsonb[]) as m (place, made)
where i.schema = $1 and i.statement = $2 and i.place = m.place
