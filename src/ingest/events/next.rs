//! What follows the end of a stream, or the refusal of one, pure.

use tokio::time::Instant;

use crate::auth0::{Outcome, Start};

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Connect again, after a growing pause where it goes on failing.
    Again,
    /// Not before this.
    At(Instant),
    /// Seldom: others have the tenant's connections.
    Full,
    /// Seldom: this tenant has no events for us.
    Refused,
    /// The position is of no use any more.
    Gone,
    /// Auth0 does not know one of the types: ask for all.
    AllTypes,
}

/// So many endings with an error without a step forward make a position useless.
const STUCK: u32 = 5;

/// What follows a refusal to begin.
pub(super) fn refused(outcome: &Outcome, start: &Start, all_types: bool) -> Next {
    match outcome {
        Outcome::Throttled { until } => Next::At(*until),
        Outcome::Refused(refusal) => match refusal.status {
            400 if !all_types => Next::AllTypes,
            400 | 410 if *start != Start::Now => Next::Gone,
            403 => Next::Full,
            _ => Next::Refused,
        },
        _ => Next::Again,
    }
}

/// What follows an error that ended the stream; `stuck` of them came without a step forward.
pub(super) fn failed(code: &str, stuck: u32) -> Next {
    match code {
        "invalid_cursor" | "cursor_expired" => Next::Gone,
        _ if stuck >= STUCK => Next::Gone,
        _ => Next::Again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth0::Refusal;

    fn status(status: u16, start: Start, all_types: bool) -> Next {
        refused(&Outcome::Refused(Refusal { status, ..Refusal::default() }), &start, all_types)
    }

    #[test]
    fn each_refusal_leads_on() {
        let offset = || Start::Offset("o".into());
        assert_eq!(status(400, offset(), false), Next::AllTypes);
        assert_eq!(status(400, offset(), true), Next::Gone);
        assert_eq!(status(410, offset(), false), Next::Gone);
        assert_eq!(status(410, Start::Time(chrono::Utc::now()), true), Next::Gone);
        assert_eq!(status(400, Start::Now, true), Next::Refused);
        assert_eq!(status(403, offset(), true), Next::Full);
        assert_eq!(status(404, offset(), true), Next::Refused);
        let until = Instant::now();
        assert_eq!(refused(&Outcome::Throttled { until }, &offset(), true), Next::At(until));
        let lost = Outcome::Unknown { kind: crate::error::Kind::Auth0Server, reason: String::new() };
        assert_eq!(refused(&lost, &offset(), true), Next::Again);
    }

    #[test]
    fn an_error_leads_back_unless_the_position_is_of_no_use() {
        for code in ["timeout", "payload_too_large", "processing_error", "connection_timeout", "unheard_of"] {
            assert_eq!(failed(code, 0), Next::Again, "{code}");
            assert_eq!(failed(code, STUCK), Next::Gone, "{code}");
        }
        assert_eq!(failed("invalid_cursor", 0), Next::Gone);
        assert_eq!(failed("cursor_expired", 0), Next::Gone);
    }
}
