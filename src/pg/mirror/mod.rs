//! One mirror row as the service handles it: Auth0's answer in the table's shape, the rebase rule,
//! the lock-then-look transaction, and which readings may be applied.

mod answers;
mod copy;
mod doubtful;
mod freshness;
mod instant;
mod locked;
mod locked_rows;
mod reading;
mod rebase;
mod rekey;
mod shape;
mod unclaimed;
mod undecided;
mod version;

pub use copy::{COPY_HEADER, COPY_TRAILER, Layout, row_of_line};
pub use doubtful::{Doubtful, Unanswered};
pub use freshness::{Flight, Freshness, Reading, Tick};
pub use locked::{Locked, Pending, committed_base, lock_names, lock_table};
pub use locked_rows::{LockedRow, LockedRows};
pub use reading::{Usable, has_gone_since, is_fresh, usable};
pub use rebase::{News, Operation, Rebased, Row, Unsettled, base_of, described, rebase, rebase_from};
pub use rekey::{PROVISIONAL, replace_key};
pub use shape::{row_from_answer, row_from_auth0, row_listed};
pub use unclaimed::may_be_ours;
pub use undecided::Undecided;
pub use version::version_order;
