//! The replication stream of `_sync_cdc` inserts; the only place that knows pg_walstream.
