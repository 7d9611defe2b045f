//! The owner's end of the stream: starts it, takes its events, says what is applied.

use std::sync::Arc;

use pg_walstream::PgReplicationConnection;
use secrecy::ExposeSecret;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use url::Url;

use super::Settings;
use super::event::Event;
use super::fault::{Moment, walstream};
use super::lsn::Lsn;
use super::pump::Pump;
use crate::error::{Error, Kind, Result};

/// Events that wait for the owner; each holds at most [`super::MAX_IDS`] ids.
const WAITING: usize = 64;

/// A running replication stream. A task of its own reads it and answers the server, however busy
/// the owner is; dropped, it ends.
#[derive(Debug)]
pub struct Stream {
    events: mpsc::Receiver<Result<Event>>,
    applied: Applied,
    task: JoinHandle<()>,
}

/// Reports what is applied; clones report for the same stream.
#[derive(Clone, Debug)]
pub struct Applied(Arc<watch::Sender<Lsn>>);

impl Applied {
    /// Everything up to here is settled: sessions that wait for `remote_apply` go on. Never goes back.
    pub fn set(&self, lsn: Lsn) {
        self.0.send_if_modified(|applied| {
            let forward = lsn > *applied;
            *applied = lsn.max(*applied);
            forward
        });
    }
}

impl Stream {
    /// Connects and starts reading the slot where it stands.
    ///
    /// # Errors
    /// `slot_lost` where there is no such slot or Postgres has invalidated it; `replication` where
    /// somebody else reads it or the publication is missing; `database_*` where the connection fails.
    pub async fn start(settings: &Settings) -> Result<Self> {
        let url = replication_url(settings.database_url.expose_secret())?;
        let heartbeat = settings.heartbeat;
        let settings = settings.clone();
        let publication = format!("\"{}\"", settings.publication.replace('"', "\"\""));
        // The crate connects and starts by blocking.
        let starting = tokio::task::spawn_blocking(move || {
            let mut connection = PgReplicationConnection::connect(&url)
                .map_err(|error| walstream(Moment::Connect, "cannot connect for replication", error))?;
            require_publication(&mut connection, &settings.publication)?;
            let options =
                [("proto_version", "1"), ("publication_names", publication.as_str()), ("messages", "true")];
            connection
                .start_replication(&settings.slot, 0, &options)
                .map_err(|error| walstream(Moment::Stream, "cannot start replication", error))?;
            Ok::<_, Error>(connection)
        });
        let connection = starting
            .await
            .map_err(|error| Error::with(Kind::Internal, "starting replication broke off", error))??;
        let (sender, events) = mpsc::channel(WAITING);
        let (applied, watched) = watch::channel(Lsn::default());
        let task = tokio::spawn(Pump::new(connection, sender, watched, heartbeat).run());
        Ok(Stream { events, applied: Applied(Arc::new(applied)), task })
    }

    /// The next event. Cancel-safe. After an error the stream has ended: start a new one, which
    /// begins behind the last transaction that was told whole, or before it.
    ///
    /// # Errors
    /// `slot_lost` where the slot cannot be read on; `database_unavailable` where the connection
    /// broke; `replication` otherwise.
    pub async fn next(&mut self) -> Result<Event> {
        match self.events.recv().await {
            Some(event) => event,
            None => Err(Error::new(Kind::Replication, "the replication stream has ended")),
        }
    }

    /// Reports what is applied, from wherever that is known.
    pub fn applied(&self) -> Applied {
        self.applied.clone()
    }

    /// Acknowledges what was received and closes the connection; the server frees the slot a moment later.
    pub async fn stop(self) {
        drop(self.events);
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "The replication stream did not end well");
        }
    }
}

/// From Postgres 18 on, a publication that is missing is no error: its changes are skipped.
fn require_publication(connection: &mut PgReplicationConnection, publication: &str) -> Result<()> {
    let literal = publication.replace('\'', "''");
    let found = connection
        .exec(&format!("select from pg_catalog.pg_publication p where p.pubname = '{literal}'"))
        .map_err(|error| walstream(Moment::Connect, "cannot look for the publication", error))?;
    if found.ntuples() == 0 {
        let what = format!("the publication {publication} does not exist: run `auth0-sync setup`");
        return Err(Error::new(Kind::Replication, what));
    }
    Ok(())
}

/// The same URL for a walsender. Only TCP: the crate has no Unix sockets.
fn replication_url(url: &str) -> Result<String> {
    let mut url =
        Url::parse(url).map_err(|error| Error::with(Kind::Config, "DATABASE_URL is not a URL", error))?;
    let given =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let socket = given("host").or_else(|| url.host_str().map(str::to_owned)).unwrap_or_default();
    if socket.is_empty() || socket.starts_with('/') || socket.starts_with("%2F") {
        return Err(Error::new(Kind::Config, "DATABASE_URL must name a host: replication goes over TCP"));
    }
    let timeout = given("connect_timeout").is_none();
    let mut query = url.query_pairs_mut();
    query.append_pair("replication", "database");
    if timeout {
        query.append_pair("connect_timeout", "10");
    }
    drop(query);
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_asks_for_replication_and_keeps_the_rest() {
        let url = replication_url("postgres://u:p%40@h:5433/db?sslmode=disable").unwrap();
        assert_eq!(
            url,
            "postgres://u:p%40@h:5433/db?sslmode=disable&replication=database&connect_timeout=10"
        );
        let url = replication_url("postgres://u@h/db?connect_timeout=3").unwrap();
        assert_eq!(url, "postgres://u@h/db?connect_timeout=3&replication=database");
    }

    #[test]
    fn a_unix_socket_is_refused_by_name() {
        for url in ["postgres:///db?host=/run/postgresql", "postgres://%2Frun/db", "postgres:///db", "host=h"]
        {
            assert_eq!(replication_url(url).unwrap_err().kind(), Kind::Config, "{url}");
        }
    }

    #[test]
    fn what_is_applied_never_goes_back() {
        let (sender, watched) = watch::channel(Lsn(0));
        let applied = Applied(Arc::new(sender));
        applied.set(Lsn(5));
        applied.set(Lsn(3));
        assert_eq!(*watched.borrow(), Lsn(5));
    }
}
