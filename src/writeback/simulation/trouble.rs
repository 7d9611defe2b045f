//! What goes wrong, and how much of it a schedule has.

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// No connection came about.
    NeverLeft,
    /// The request left and did not arrive.
    LostRequest,
    /// The request arrived and its answer did not.
    LostAnswer,
    /// The answer cannot be read.
    BrokenAnswer,
    /// The request arrived twice.
    Duplicate,
    /// 429.
    Throttled,
    /// 408 before anything happened.
    TimedOut,
    /// 5xx before anything happened.
    FailedBefore,
    /// 5xx after it happened.
    FailedAfter,
    /// A statement failed, and nothing of it is there.
    StatementFailed,
    /// A statement was committed, and the service did not hear of it.
    CommitUnheard,
    /// The stream began anew and repeats itself.
    StreamBroke,
    /// The slot is gone.
    SlotLost,
    /// Postgres restarted.
    ServerRestarted,
    /// The service was killed.
    Killed,
}

impl Trouble {
    pub(super) const ALL: [Trouble; 15] = [
        Trouble::NeverLeft,
        Trouble::LostRequest,
        Trouble::LostAnswer,
        Trouble::BrokenAnswer,
        Trouble::Duplicate,
        Trouble::Throttled,
        Trouble::TimedOut,
        Trouble::FailedBefore,
        Trouble::FailedAfter,
        Trouble::StatementFailed,
        Trouble::CommitUnheard,
        Trouble::StreamBroke,
        Trouble::SlotLost,
        Trouble::ServerRestarted,
        Trouble::Killed,
    ];
    /// On the way to Auth0.
    pub(super) const ON_THE_WAY: [Trouble; 2] = [Trouble::NeverLeft, Trouble::LostRequest];
    /// At Auth0 and on the way back.
    pub(super) const AT_AUTH0: [Trouble; 7] = [
        Trouble::LostAnswer,
        Trouble::BrokenAnswer,
        Trouble::Duplicate,
        Trouble::Throttled,
        Trouble::TimedOut,
        Trouble::FailedBefore,
        Trouble::FailedAfter,
    ];
    /// In a statement of the service.
    pub(super) const IN_A_STATEMENT: [Trouble; 2] = [Trouble::StatementFailed, Trouble::CommitUnheard];
    /// By itself.
    pub(super) const BY_ITSELF: [Trouble; 4] =
        [Trouble::StreamBroke, Trouble::SlotLost, Trouble::ServerRestarted, Trouble::Killed];
}
