//! The service's Postgres: pool, the schema made from the catalogue, capture, bookkeeping.
//! Every statement names its schema; nothing here relies on search_path, nothing here calls Auth0.

mod batch;
mod connect;
mod ddl;
mod fault;
mod ident;
mod key;
pub mod mirror;
mod plan;
mod server;
pub mod to_read;

pub use batch::{Batch, Batches, Statement, insist};
pub use connect::{Database, connect, connect_with, wait_for_nobody};
pub use fault::{fault, sqlstate};
pub use ident::{ident, literal};
pub use key::{has_unsettled, key_columns, key_object, qualified, selected_key};
pub use plan::{
    Change, Conflict, Existing, ExistingPublication, Goal, Roles, apply, conflicts, digest_of, migrate,
    pending_migrations, plan,
};
pub use server::{Login, Server, Slot};
