//! What integration tests stand on: a Postgres of their own, the emulator and the service as real
//! processes, and waiting without blind sleeps. Everything ends when it is dropped; on a failed
//! test its logs are printed.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "every test file takes what it needs")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests alone stand on this")]

pub mod api;
pub mod compare;
pub mod port;
pub mod postgres;
pub mod process;
pub mod session;
pub mod settled;
pub mod stand;
pub mod wait;

pub use api::Api;
pub use compare::compare;
pub use port::own_port;
pub use postgres::Postgres;
pub use process::{Program, program};
pub use session::{Refusal, Session};
pub use settled::{all_settled, equal, equal_after};
pub use stand::{Emulator, Stand};
pub use wait::{wait_for, wait_until};
