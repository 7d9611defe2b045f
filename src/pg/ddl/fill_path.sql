-- A path with the row's values in the place of {column}, percent-encoded, and its query behind it.
create or replace function {schema}._fill_path(path text, query jsonb, given jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $body$
    select concat_ws('?', (
        select string_agg(
            case
                when s.segment !~ '^\{.*\}$' then s.segment
                else (
                    select coalesce(string_agg(
                        case
                            when ascii(l.letter) between 33 and 126 and position(l.letter in E' "#%/<>?[\\]^`{|}') = 0 then l.letter
                            else regexp_replace(upper(encode(convert_to(l.letter, 'UTF8'), 'hex')), '(..)', '%\1', 'g')
                        end, '' order by l.place
                    ), '')
                    from regexp_split_to_table(given ->> trim(both '{}' from s.segment), '') with ordinality l (letter, place)
                )
            end, '/' order by s.place
        )
        from unnest(string_to_array(path, '/')) with ordinality s (segment, place)
    ), (
        select string_agg(q.name || '=' || coalesce(given ->> trim(both '{}' from q.value), q.value), '&')
        from jsonb_each_text(query) q (name, value)
        where q.value !~ '^\{.*\}$' or given ->> trim(both '{}' from q.value) is not null
    ))
$body$;
