//! Whether the tenant log has lost entries that were not read: Auth0 keeps them for 1 to 30 days,
//! by subscription, and what it answers to a checkpoint that it has dropped is written nowhere.

use std::time::Duration;

/// The shortest time for which Auth0 keeps entries (Free); nothing younger can be lost.
pub(super) const SHORTEST: Duration = Duration::from_secs(86_400);

/// Whether entries may be lost where the log was last read to its end `unread` ago and the oldest
/// entry that Auth0 still has is this old; none where it has none. Days are compared, so it does not
/// matter that one clock is ours and the other Auth0's.
pub(super) fn may_be_lost(unread: Duration, oldest: Option<Duration>) -> bool {
    // An entry from before the last reading is still there: nothing after it has been dropped.
    unread >= SHORTEST && oldest.is_none_or(|oldest| oldest < unread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_lost_only_where_none_is_left_from_before_the_last_reading() {
        let days = |n: u64| Duration::from_secs(86_400 * n);
        assert!(!may_be_lost(days(1) / 2, None), "nothing is dropped so early");
        assert!(may_be_lost(days(2), None), "an empty log tells nothing");
        assert!(may_be_lost(days(12), Some(days(10))));
        assert!(!may_be_lost(days(9), Some(days(10))));
        assert!(!may_be_lost(Duration::ZERO, Some(days(40))));
    }
}
