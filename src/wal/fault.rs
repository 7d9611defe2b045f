//! From what Postgres says, through either client, to a [`Kind`]: by SQLSTATE.

use pg_walstream::ReplicationError;

use crate::error::{Error, Kind};

/// When something failed: the same SQLSTATE says different things before and while streaming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Connecting and logging in.
    Connect,
    /// `START_REPLICATION`, and what follows.
    Stream,
}

/// Wraps an error of the replication connection.
pub(super) fn walstream(moment: Moment, what: &str, error: ReplicationError) -> Error {
    let text = error.to_string();
    let kind = match (&error, sqlstate(&text)) {
        (_, Some(code)) => of_sqlstate(code, moment),
        (ReplicationError::Config(_), None) => Kind::Config,
        (ReplicationError::Authentication(_), None) => Kind::DatabaseLogin,
        (
            ReplicationError::TransientConnection(_)
            | ReplicationError::ReplicationConnection(_)
            | ReplicationError::Timeout(_)
            | ReplicationError::Backend(_)
            | ReplicationError::Io(_),
            None,
        ) => Kind::DatabaseUnavailable,
        _ => Kind::Replication,
    };
    Error::with(kind, what, error)
}

/// Wraps an error of an ordinary connection.
pub(super) fn sql(what: &str) -> impl FnOnce(sqlx::Error) -> Error + '_ {
    move |error| {
        let code = error.as_database_error().and_then(|e| e.code());
        let kind = match (&error, code) {
            (_, Some(code)) => of_sqlstate(&code, Moment::Connect),
            (sqlx::Error::Configuration(_), _) => Kind::Config,
            (sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_), _) => {
                Kind::DatabaseUnavailable
            }
            _ => Kind::Database,
        };
        Error::with(kind, what, error)
    }
}

fn of_sqlstate(code: &str, moment: Moment) -> Kind {
    match code {
        // undefined_object is the slot, or a publication that the slot's position does not know;
        // object_not_in_prerequisite_state is an invalidated slot. A new slot mends all three.
        "42704" | "55000" if moment == Moment::Stream => Kind::SlotLost,
        // invalid_authorization_specification, invalid_password, invalid_catalog_name
        "28000" | "28P01" | "3D000" => Kind::DatabaseLogin,
        "42501" => Kind::DatabasePrivilege,
        "53300" => Kind::DatabaseUnavailable,
        _ if code.starts_with("08") || code.starts_with("57P") => Kind::DatabaseUnavailable,
        // Among them 55006, the slot is in use, and 53400, no slot is left.
        _ => Kind::Replication,
    }
}

/// pg_walstream keeps the SQLSTATE in its text alone, as `[42704] …` after the variant's name,
/// or as `(SQLSTATE 42704)` behind the server's message.
fn sqlstate(text: &str) -> Option<&str> {
    let is_code =
        |code: &str| code.len() == 5 && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let bracketed = text.split_once(": [").and_then(|(_, rest)| rest.split_once(']')).map(|(code, _)| code);
    let behind =
        || text.rsplit_once("(SQLSTATE ").and_then(|(_, rest)| rest.split_once(')')).map(|(code, _)| code);
    bracketed.filter(|code| is_code(code)).or_else(|| behind().filter(|code| is_code(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(moment: Moment, error: ReplicationError) -> Kind {
        walstream(moment, "it failed", error).kind()
    }

    #[test]
    fn the_sqlstate_decides_wherever_the_crate_hides_it() {
        let slot = || ReplicationError::ReplicationSlot("[42704] it did not: no such slot".into());
        assert_eq!(kind(Moment::Stream, slot()), Kind::SlotLost);
        assert_eq!(kind(Moment::Connect, slot()), Kind::Replication);
        let ended = ReplicationError::TransientConnection("[57P01] FATAL: beendet".into());
        assert_eq!(kind(Moment::Stream, ended), Kind::DatabaseUnavailable);
        let role = ReplicationError::Protocol("FATAL: verboten (SQLSTATE 42501)\nHINT: [x]".into());
        assert_eq!(kind(Moment::Connect, role), Kind::DatabasePrivilege);
        let closed = ReplicationError::TransientConnection("connection closed by server".into());
        assert_eq!(kind(Moment::Stream, closed), Kind::DatabaseUnavailable);
        assert_eq!(kind(Moment::Stream, ReplicationError::Protocol("[] :".into())), Kind::Replication);
    }
}
