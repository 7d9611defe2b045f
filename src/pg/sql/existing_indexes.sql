-- Indexes of a schema's tables that find every row: table, first column, name, whether it is whole.
select c.relname::text, a.attname::text, x.relname::text, i.indisvalid
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_class x on x.oid = i.indexrelid
join pg_catalog.pg_am m on m.oid = x.relam
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
where n.nspname = $1 and c.relkind = 'r' and m.amname = 'btree' and i.indpred is null
