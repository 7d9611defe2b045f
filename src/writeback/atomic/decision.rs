//! What becomes of a transaction by the states of its mutations. Pure.

/// How far the mutations of a transaction have got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Auth0 has them.
    pub(super) applied: i64,
    /// Nobody knows yet.
    pub(super) open: i64,
    /// They have settled without effect.
    pub(super) failed: i64,
}

/// What is to be done about a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Others have to be answered first.
    Wait,
    /// Auth0 has all of it: everything is confirmed.
    Confirm,
    /// What has not come back yet is to come back.
    TakeBack,
    /// All of it has come back: that is told.
    Tell,
}

impl Tally {
    /// What follows.
    pub(super) fn decision(self) -> Decision {
        match self {
            Tally { failed: 0, open: 0, .. } => Decision::Confirm,
            Tally { failed: 0, .. } => Decision::Wait,
            Tally { applied: 0, open: 0, .. } => Decision::Tell,
            _ => Decision::TakeBack,
        }
    }
}

/// What has become of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::writeback) enum Fate {
    /// It is not decided.
    Open,
    /// Auth0 has all of it: these mutations are confirmed.
    Confirmed(Vec<i64>),
    /// Something of it was refused.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_confirmed_whole_or_comes_back_whole() {
        let decision = |applied, open, failed| Tally { applied, open, failed }.decision();
        assert_eq!(decision(2, 1, 0), Decision::Wait);
        assert_eq!(decision(3, 0, 0), Decision::Confirm);
        assert_eq!(decision(2, 0, 1), Decision::TakeBack);
        assert_eq!(decision(0, 2, 1), Decision::TakeBack);
        assert_eq!(decision(0, 0, 1), Decision::Tell, "a single one that was refused, too");
        assert_eq!(decision(0, 0, 3), Decision::Tell);
    }
}
