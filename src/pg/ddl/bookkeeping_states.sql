-- For a new `_sync_cdc`, and for one that an earlier version has made. Every statement that writes there reads its
-- checks anew: few and short ones cost it half. A claim finds room beside its row, and no index changes.
alter table {schema}._sync_cdc
    drop constraint if exists operation_known,
    drop constraint if exists images_fit_operation,
    drop constraint if exists state_known,
    drop constraint if exists settled_has_time,
    drop constraint if exists refusal_has_error,
    drop constraint if exists sent_was_tried,
    drop constraint if exists operation_fits_images,
    drop constraint if exists state_fits_outcome,
    add constraint operation_fits_images check (
        operation = case
            when before is null then case when after is null then '' else 'INSERT' end
            when after is null then 'DELETE'
            else 'UPDATE'
        end
    ),
    add constraint state_fits_outcome check (
        state = any (case
            when settled_at is not null then
                case when error is null then '{confirmed,merged}'::text[] else '{reverted,cancelled}' end
            when error is not null then '{}'
            when attempts > 0 then '{held,pending,sending,verifying,applied}'
            else '{held,pending,applied}'
        end)
    ),
    set (fillfactor = 70);
comment on column {schema}._sync_cdc.state is
    'held, pending, sending, verifying, applied (its transaction is not decided); settled: confirmed, reverted, merged (sent with a later change), cancelled.';
