//! Mail about the filling of tables: once when all of them are filled for the first time, and once
//! for tables that could not be filled. Tables and counts alone, never a value of a row. A mail
//! server that does not answer holds nothing up.

use std::collections::HashSet;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;

use super::config::Mail;
use crate::error::{Error, Kind, Result};
use crate::pg::{Database, fault};
use crate::retry::Delays;

/// How often the service looks for something to tell.
const LOOK: Duration = Duration::from_secs(2);
/// How long one command of the mail server may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a whole try may take.
const TRY: Duration = Duration::from_secs(30);
const TRIES: usize = 3;

/// Sends mail to those who are to be told.
pub(super) struct Mailer {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

/// Whether the mail server takes a connection and the login.
///
/// # Errors
/// `config` for a wrong setting, `io` with what the server says.
pub async fn check_mail(settings: &Mail) -> Result<()> {
    Mailer::new(settings)?.check().await
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum News {
    /// Every table has been filled: how many, their rows, and how many could not be.
    Filled { tables: i64, rows: i64, unfilled: i64 },
    /// Tables that could not be filled.
    Failed(Vec<String>),
}

impl Mailer {
    /// A mailer; nothing is sent yet.
    ///
    /// # Errors
    /// `config`, naming the key.
    pub(super) fn new(settings: &Mail) -> Result<Mailer> {
        let address = |key: &str, text: &str| {
            text.parse::<Mailbox>().map_err(|error| {
                Error::with(Kind::Config, format!("{key}: {text} is no mail address"), error)
            })
        };
        // The URL has a password: it is not shown.
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(settings.server.expose_secret())
            .map_err(|_| {
                let what = "mail.server (AUTH0_SYNC_SMTP_URL) is no URL like smtp://user:password@host:587?tls=required";
                Error::new(Kind::Config, what)
            })?;
        Ok(Mailer {
            server: server.timeout(Some(PATIENCE)).build(),
            from: address("mail.from", &settings.from)?,
            to: settings.to.iter().map(|to| address("mail.to", to)).collect::<Result<_>>()?,
        })
    }

    async fn check(&self) -> Result<()> {
        let silent = |why: &str| Error::new(Kind::Io, format!("the mail server {why}"));
        match tokio::time::timeout(TRY, self.server.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(silent("does not take a connection")),
            Ok(Err(error)) => Err(Error::with(Kind::Io, "the mail server does not take a connection", error)),
            Err(_) => Err(silent("does not answer")),
        }
    }

    async fn send(&self, subject: &str, text: &str) -> Result<()> {
        let mut message = Message::builder().from(self.from.clone()).subject(subject);
        for to in &self.to {
            message = message.to(to.clone());
        }
        let message = message
            .header(ContentType::TEXT_PLAIN)
            .body(text.to_owned())
            .map_err(|error| Error::with(Kind::Internal, "the mail cannot be written", error))?;
        let refused = |error| Error::with(Kind::Io, "the mail server does not take the mail", error);
        match tokio::time::timeout(TRY, self.server.send(message)).await {
            Ok(sent) => sent.map(drop).map_err(refused),
            Err(_) => Err(Error::new(Kind::Io, "the mail server does not answer")),
        }
    }
}

/// Tells by mail what there is to tell, for ever. What could not be sent in [`TRIES`] tries is sent
/// after the next start.
pub(super) async fn keep_telling(mailer: Mailer, database: Database, schema: String, domain: String) {
    let mut given_up = HashSet::new();
    loop {
        tokio::time::sleep(LOOK).await;
        let news = match due(&database, &schema).await {
            Ok(news) => news,
            Err(error) => {
                tracing::debug!(%error, "what is to be mailed cannot be read yet");
                continue;
            }
        };
        for news in news.into_iter().filter(|news| !given_up.contains(news)).collect::<Vec<_>>() {
            let (subject, text) = words(&news, &schema, &domain);
            match tried(&mailer, &subject, &text).await {
                Ok(()) => {
                    tracing::info!("mail about the filling of tables is sent");
                    if let Err(error) = remember(&database, &schema, &news).await {
                        tracing::warn!(%error, "that a mail was sent is not remembered: it may come again");
                    }
                }
                Err(error) => tracing::warn!(%error, tries = TRIES, "no mail could be sent"),
            }
            // Either way this process has done what it can.
            given_up.insert(news);
        }
    }
}

async fn tried(mailer: &Mailer, subject: &str, text: &str) -> Result<()> {
    let mut delays = Delays::new(Duration::from_secs(1), Duration::from_secs(10));
    for _ in 1..TRIES {
        match mailer.send(subject, text).await {
            Ok(()) => return Ok(()),
            Err(error) => tracing::debug!(%error, "a mail could not be sent yet"),
        }
        tokio::time::sleep(delays.next_delay()).await;
    }
    mailer.send(subject, text).await
}

/// What nobody has been told by mail.
async fn due(database: &Database, schema: &str) -> Result<Vec<News>> {
    let (filled, tables, rows, unfilled, failed): (bool, i64, i64, i64, Vec<String>) =
        sqlx::query_as(include_str!("sql/mail_due.sql"))
            .bind(schema)
            .fetch_one(&database.pool)
            .await
            .map_err(fault("cannot read what is to be mailed"))?;
    let filled = filled.then_some(News::Filled { tables, rows, unfilled });
    Ok(filled.into_iter().chain((!failed.is_empty()).then_some(News::Failed(failed))).collect())
}

async fn remember(database: &Database, schema: &str, news: &News) -> Result<()> {
    let query = match news {
        News::Filled { .. } => {
            sqlx::query("update _auth0_sync.tenant set filled_mailed_at = now() where schema = $1")
                .bind(schema)
        }
        News::Failed(tables) => sqlx::query(
            "update _auth0_sync.backfill set mailed_at = now() where schema = $1 and \"table\" = any ($2)",
        )
        .bind(schema)
        .bind(tables),
    };
    query.execute(&database.pool).await.map_err(fault("cannot note that a mail was sent"))?;
    Ok(())
}

/// Subject and text.
fn words(news: &News, schema: &str, domain: &str) -> (String, String) {
    match news {
        News::Filled { tables, rows, unfilled } => (
            format!("auth0-sync: {domain} is in schema {schema}"),
            format!(
                "Every table of {domain} has been filled for the first time.\n\n\
                 schema: {schema}\ntables: {tables}\nrows: {rows}\ntables that could not be filled: {unfilled}\n\n\
                 `auth0-sync status` shows them.\n"
            ),
        ),
        News::Failed(tables) => (
            format!("auth0-sync: tables of {domain} could not be filled"),
            format!(
                "These tables of {domain} in schema {schema} could not be filled:\n\n{}\n\n\
                 `auth0-sync doctor` says why and what mends it.\n",
                tables.join("\n")
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(server: &str, to: &str) -> Mail {
        Mail { server: server.into(), from: "sync@example.com".into(), to: vec![to.into()] }
    }

    #[test]
    fn a_wrong_setting_is_named_and_the_password_is_not_shown() {
        assert!(Mailer::new(&settings("smtp://u:p@localhost:2525", "ops@example.com")).is_ok());
        let wrong = |server, to| Mailer::new(&settings(server, to)).map(drop).unwrap_err().to_string();
        assert!(wrong("http://u:secret@localhost", "ops@example.com").contains("mail.server"));
        assert!(!wrong("http://u:secret@localhost", "ops@example.com").contains("secret"));
        assert!(wrong("smtp://localhost", "ops").contains("mail.to"));
    }

    #[test]
    fn a_mail_names_tables_and_counts() {
        let (subject, text) =
            words(&News::Filled { tables: 8, rows: 120, unfilled: 1 }, "auth0", "acme.auth0.com");
        assert_eq!(subject, "auth0-sync: acme.auth0.com is in schema auth0");
        assert!(text.contains("tables: 8\nrows: 120\n") && text.contains("filled: 1\n"), "{text}");
        let (_, text) = words(&News::Failed(vec!["a".into(), "b".into()]), "auth0", "acme.auth0.com");
        assert!(text.contains("\na\nb\n"), "{text}");
    }
}
