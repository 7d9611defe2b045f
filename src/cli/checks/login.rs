//! Logging in to Postgres: what a connection string says, and what a refusal means.

use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tokio::time::timeout;
use url::Url;

use crate::error::{Error, Kind, Result};
use crate::pg::{ident, sqlstate, wait_for_nobody};

const PATIENCE: Duration = Duration::from_secs(10);

/// What a connection string says.
pub(in crate::cli) struct Login {
    /// The variable that holds it.
    key: &'static str,
    options: PgConnectOptions,
    /// Role to log in as.
    pub(in crate::cli) role: String,
    /// Database to connect to.
    pub(in crate::cli) database: String,
    /// It leads to a Unix socket, or names no host at all.
    pub(in crate::cli) by_socket: bool,
    /// The password, where the string has one.
    pub(in crate::cli) password: Option<SecretString>,
}

/// Why nobody could log in, and the mend.
pub(in crate::cli) struct Refused {
    pub(in crate::cli) what: String,
    pub(in crate::cli) mend: String,
}

impl Login {
    /// Reads a connection string; nothing is connected yet.
    ///
    /// # Errors
    /// `config`, naming the key.
    pub(in crate::cli) fn read(key: &'static str, url: &SecretString) -> Result<Login> {
        let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
            let what = format!(
                "{key} cannot be read (postgres://role:password@host:port/database, special characters percent-encoded)"
            );
            Error::with(Kind::Config, what, error)
        };
        let url = Url::parse(url.expose_secret()).map_err(|error| unreadable(error.into()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(unreadable("the scheme is not postgres".into()));
        }
        let options = PgConnectOptions::from_str(url.as_str()).map_err(|error| unreadable(error.into()))?;
        let role = options.get_username().to_owned();
        let database = options.get_database().unwrap_or(&role).to_owned();
        let in_query =
            || url.query_pairs().find(|(name, _)| name == "password").map(|(_, value)| value.into_owned());
        let password = url
            .password()
            .map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned())
            .or_else(in_query)
            .map(SecretString::from);
        let by_socket = options.get_socket().is_some()
            || options.get_host().starts_with('/')
            || (url.host_str().unwrap_or_default().is_empty()
                && !url.query_pairs().any(|(name, _)| name == "host" || name == "hostaddr"));
        let options = options
            .application_name("auth0-sync command")
            // A lock that somebody holds for long is reported, not waited for: everyone else would queue behind us.
            .options([("lock_timeout", "5s"), ("timezone", "UTC"), ("client_min_messages", "warning")])
            .disable_statement_logging();
        Ok(Login { key, options, role, database, by_socket, password })
    }

    /// Opens one connection.
    pub(in crate::cli) async fn connect(&self) -> Result<PgConnection, Refused> {
        let connecting = async {
            let mut connection = self.options.connect().await?;
            wait_for_nobody(&mut connection).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        match timeout(PATIENCE, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.refused(&error)),
            Err(_) => Err(self.unreachable(&format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    fn place(&self) -> String {
        match self.options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", self.options.get_host(), self.options.get_port()),
        }
    }

    fn unreachable(&self, why: &str) -> Refused {
        Refused {
            what: format!("cannot reach Postgres at {} ({}): {why}", self.place(), self.key),
            mend: format!("start Postgres, or correct host and port in {}", self.key),
        }
    }

    /// By SQLSTATE; the server's own words are only repeated.
    fn refused(&self, error: &sqlx::Error) -> Refused {
        let (key, role, database) = (self.key, &self.role, &self.database);
        let Some(code) = sqlstate(error) else { return self.unreachable(&error.to_string()) };
        let said = error.as_database_error().map(|error| error.message().to_owned()).unwrap_or_default();
        let mend = match code.as_str() {
            // invalid_password: of a missing role the server says the same.
            "28P01" => format!(
                "correct role and password in {key} (special characters percent-encoded), or as an administrator:\n\
                 where the role exists:   alter role {0} password '…';\n\
                 where there is none yet: create role {0} login replication password '…'; (setup does it with --admin-url)",
                ident(role)
            ),
            "28000" => format!(
                "as an administrator: create role {0} login replication; or alter role {0} login; \
                 and look whether pg_hba.conf lets it in",
                ident(role)
            ),
            "3D000" => format!(
                "as an administrator: create database {}; or correct the database in {key}",
                ident(database)
            ),
            "42501" => format!(
                "as an administrator: grant connect on database {} to {};",
                ident(database),
                ident(role)
            ),
            "53300" => "close connections, or raise max_connections".to_owned(),
            _ => format!("look into the server's log; SQLSTATE {code}"),
        };
        Refused { what: format!("Postgres at {} does not let {role} in ({key}): {said}", self.place()), mend }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(url: &str) -> Result<Login> {
        Login::read("DATABASE_URL", &url.into())
    }

    #[test]
    fn special_characters_are_decoded() {
        let read = login("postgres://ro%40le:p%23%2F%25@localhost:5433/d%20b").unwrap();
        assert_eq!((read.role.as_str(), read.database.as_str()), ("ro@le", "d b"));
        assert_eq!(read.password.unwrap().expose_secret(), "p#/%");
    }

    #[test]
    fn a_socket_is_a_place_too() {
        for url in ["postgres://role@%2Frun%2Fpostgresql/db", "postgres:///db?host=/run/postgresql&user=role"]
        {
            let login = login(url).unwrap();
            assert_eq!(login.place(), "/run/postgresql", "{url}");
            assert!(login.by_socket);
        }
        assert!(login("postgres:///db").unwrap().by_socket);
        assert!(!login("postgres:///db?host=localhost").unwrap().by_socket);
    }

    #[test]
    fn an_unreadable_url_is_named_without_its_password() {
        for url in ["postgres://role:pa#ss@localhost/db", "mysql://role:pa#ss@localhost/db", "role:pa#ss"] {
            let error = login(url).err().unwrap().to_string();
            assert!(error.contains("DATABASE_URL") && !error.contains("pa#ss"), "{error}");
        }
    }
}
