update _auth0_sync.sweep set
    finished_at = clock_timestamp(),
    rows = $3,
    error = $4,
    gap = case when asked_at > started_at then gap else false end,
    -- Asked for again while it ran: that is still to come.
    asked_at = case when asked_at > started_at then clock_timestamp() + interval '1 microsecond' end
where schema = $1 and "table" = $2
