//! The Management API as a client sees it: token, calls, outcomes, paging.
//! It never touches Postgres, and never decides what a row becomes: it says what happened to a call.

mod answer;
mod budget;
mod client;
mod download;
mod events;
mod outcome;
mod pages;
mod request;
mod settings;
mod token;
mod transport;

pub use answer::{Answer, RateHeaders};
pub use budget::{BucketReport, Budget, BudgetReport, Calls, Flow, Lane, Permit};
pub use client::Client;
pub use download::Download;
pub use events::{EVENTS_SCOPE, EventStream, Message, Start};
pub use outcome::{Failure, Outcome, Refusal, decide};
pub use pages::{Cut, Pages, list_request};
pub use request::{Request, Upload};
pub use settings::Settings;
pub use transport::{Now, TransportError, Wire};
