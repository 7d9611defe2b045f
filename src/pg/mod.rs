//! The service's Postgres: pool, the schema made from the catalogue, capture, bookkeeping.
//! Every statement names its schema; nothing here relies on search_path, nothing here calls Auth0.

mod connect;
mod ddl;
mod fault;
mod ident;
pub mod mirror;
mod plan;

pub use connect::{Database, connect};
pub use fault::{fault, sqlstate};
pub use ident::{ident, literal};
pub use plan::{Change, Existing, Roles, apply, migrate, plan};
