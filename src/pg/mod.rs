//! The service's Postgres: pool, the schema made from the catalogue, capture, bookkeeping.
