update _auth0_sync.backfill
set state = case when "table" = any ($2) then 'skipped' else 'waiting' end, error = null
where schema = $1
    and asked_at is null
    and state = any (
        case when "table" = any ($2)
            then array['waiting', 'running', 'failed', 'unavailable'] else array['skipped']
        end
    )
