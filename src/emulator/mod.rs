//! An Auth0 Management API for development and tests: routes, paging, scopes, validation and
//! statuses come from the catalogue, and a tenant lives in memory, kept in a folder where one is
//! given. It shares the catalogue with the service and no other code.

mod calls;
mod control;
mod deeds;
mod events;
mod exports;
mod faults;
mod ids;
mod imports;
mod index;
mod interrupt;
mod journal;
mod keys;
mod limits;
mod links;
mod logs;
mod multipart;
mod options;
mod packed;
mod paging;
mod populate;
mod preload;
mod problem;
mod quirks;
mod reads;
mod recent;
mod routes;
mod rules;
mod runtime;
mod schema;
mod search;
mod select;
mod server;
mod show;
mod socket;
mod store;
mod table;
mod template;
mod token;
mod world;
mod writes;

pub use events::EventOptions;
pub use options::{Credentials, Gzip, Options};
pub use server::{Emulator, serve};

/// The tenant's name: the first label of its host.
fn tenant_name(host: &str) -> &str {
    host.split(['.', ':']).next().unwrap_or(host)
}
