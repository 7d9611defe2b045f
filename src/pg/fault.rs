//! From what sqlx says to a [`Kind`]: by SQLSTATE, never by text.

use crate::error::{Error, Kind};

/// The SQLSTATE of a server error.
pub fn sqlstate(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|e| e.code()).map(|code| code.into_owned())
}

/// Wraps an error of the pool or the server; `what` says what was being done.
pub fn fault(what: &str) -> impl FnOnce(sqlx::Error) -> Error + '_ {
    move |error| Error::with(kind(&error), what, error)
}

fn kind(error: &sqlx::Error) -> Kind {
    match error {
        sqlx::Error::Database(_) => match sqlstate(error).as_deref() {
            // lock_not_available, deadlock_detected, serialization_failure, query_canceled
            Some("55P03" | "40P01" | "40001") => Kind::DatabaseBusy,
            Some("42501") => Kind::DatabasePrivilege,
            // invalid_authorization_specification, invalid_password, invalid_catalog_name
            Some("28000" | "28P01" | "3D000") => Kind::DatabaseLogin,
            Some(code) if code.starts_with("08") || code.starts_with("57P") => Kind::DatabaseUnavailable,
            Some("53300") => Kind::DatabaseUnavailable,
            _ => Kind::Database,
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Kind::DatabaseUnavailable,
        sqlx::Error::Configuration(_) => Kind::Config,
        _ => Kind::Database,
    }
}
