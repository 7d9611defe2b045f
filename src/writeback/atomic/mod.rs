//! Transactions that are all or nothing at Auth0 (`auth0.atomic`). Their mutations leave one by one; what Auth0
//! has taken is `applied` until all of them are, and then they are confirmed together. When one is refused, the
//! others are taken back, the last first.
//!
//! [`groups`] and [`decision`] decide, pure; [`mod@close`] settles a transaction, [`mod@withdraw`] takes it back. Nothing
//! here sends anything of a transaction that is not failed.

mod close;
mod decision;
#[cfg(test)]
mod desk_tests;
mod groups;
mod opposite;
mod withdraw;

pub(super) use close::{close, failed, unheard};
pub(super) use decision::Fate;
pub(super) use groups::Groups;
pub(super) use withdraw::withdraw;
