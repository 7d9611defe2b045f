//! The emulator as a client sees it, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by it, in its own functions too")]

mod access;
mod client;
mod events;
mod exports;
mod faults;
mod imports;
mod paging;
mod process;
mod pushes;
mod runtime;
mod scale;
mod search;
mod shapes;
mod state;
mod tenant_log;
mod users;
#[path = "../support/wait.rs"]
#[expect(unreachable_pub, reason = "other tests see it from outside")]
mod wait;
mod writes;
