//! Auth0's events: the source that needs no inbound port and brings a change within a second. What an
//! event shows is applied where Auth0's own time of change decides; else it is a hint to read. The
//! offset is stored with what it stands behind, never before. What it misses, the tenant log brings.

mod cursor;
mod follow;
mod judge;
mod next;
mod report;
mod take;

pub use follow::Events;
pub use report::{EventsReport, EventsShown, EventsState};
