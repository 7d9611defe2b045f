//! Mail about the filling of tables: once when all of them are filled for the first time, and once
//! for tables that could not be filled. Tables and counts alone, never a value of a row. A mail
//! server that does not answer holds nothing up.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;
use url::Url;

use super::config::Mail;
use crate::error::{Error, Kind, Result, Retry};
use crate::pg::{Database, fault};
use crate::retry::Delays;

/// How often the service looks for something to tell.
const LOOK: Duration = Duration::from_secs(2);
/// How long one command of the mail server may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a whole try may take.
const TRY: Duration = Duration::from_secs(30);
/// What the server refuses for good is tried once.
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
/// `config` for a wrong setting, `mail_server` and `mail_refused` with what the server says.
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
        let no_url = || {
            let what =
                "mail.server (AUTH0_SYNC_SMTP_URL) is no URL like smtp://user:password@host:587?tls=required";
            Error::new(Kind::Config, what)
        };
        let url = settings.server.expose_secret();
        let mut server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| no_url())?;
        if let Some(ca) = &settings.ca {
            server = server.tls(trusting(&Url::parse(url).map_err(|_| no_url())?, ca)?);
        }
        Ok(Mailer {
            server: server.timeout(Some(PATIENCE)).build(),
            from: address("mail.from", &settings.from)?,
            to: settings.to.iter().map(|to| address("mail.to", to)).collect::<Result<_>>()?,
        })
    }

    async fn check(&self) -> Result<()> {
        let closed = || Error::new(Kind::MailServer, "the mail server closes the connection");
        match tokio::time::timeout(TRY, self.server.test_connection()).await {
            Ok(answer) => answer.map_err(refused)?.then_some(()).ok_or_else(closed),
            Err(_) => Err(silent()),
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
        match tokio::time::timeout(TRY, self.server.send(message)).await {
            Ok(sent) => sent.map(drop).map_err(refused),
            Err(_) => Err(silent()),
        }
    }
}

/// TLS as the URL wants it, with further certificates to trust.
fn trusting(url: &Url, ca: &Path) -> Result<Tls> {
    let wrong = |what: String| Error::new(Kind::Config, format!("mail.ca (AUTH0_SYNC_MAIL_CA): {what}"));
    let pem =
        std::fs::read(ca).map_err(|error| wrong(format!("{} cannot be read: {error}", ca.display())))?;
    let none = || wrong(format!("{} has no certificate in PEM", ca.display()));
    // A file without any would be taken as an empty list.
    if !pem.windows(PEM.len()).any(|window| window == PEM) {
        return Err(none());
    }
    let certificate = Certificate::from_pem(&pem).map_err(|_| none())?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let parameters = TlsParameters::builder(host).add_root_certificate(certificate).build();
    let parameters = parameters.map_err(|error| wrong(format!("it cannot be used: {error}")))?;
    let asked = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
    match (url.scheme(), asked.as_deref()) {
        ("smtps", _) => Ok(Tls::Wrapper(parameters)),
        (_, Some("required")) => Ok(Tls::Required(parameters)),
        (_, Some("opportunistic")) => Ok(Tls::Opportunistic(parameters)),
        _ => Err(wrong("mail.server asks for no TLS: add ?tls=required, or begin it with smtps://".into())),
    }
}

/// How a certificate begins in PEM.
const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// What the mail server's refusal means: 5xx, or no way to log in, stays as it is (RFC 5321, 4.2.1).
fn refused(error: lettre::transport::smtp::Error) -> Error {
    match error.is_permanent() || error.is_client() {
        true => Error::with(Kind::MailRefused, "the mail server refuses", error),
        false => Error::with(Kind::MailServer, "the mail server does not take mail now", error),
    }
}

fn silent() -> Error {
    Error::new(Kind::MailServer, "the mail server does not answer")
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
                Err(error) => {
                    tracing::warn!(%error, "no mail could be sent: {}", error.kind().policy().hint);
                }
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
            // Again would be a second wrong login: servers lock accounts for that.
            Err(error) if error.kind().policy().retry == Retry::Backoff => {
                tracing::debug!(%error, "a mail could not be sent yet");
            }
            sent => return sent,
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
        Mail { server: server.into(), ca: None, from: "sync@example.com".into(), to: vec![to.into()] }
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
    fn a_certificate_to_trust_must_be_there_and_be_of_use() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let wrong = |server: &str| {
            let settings = Mail { ca: Some(file.clone()), ..settings(server, "ops@example.com") };
            Mailer::new(&settings).map(drop).unwrap_err().to_string()
        };
        let tls = "smtp://u:secret@localhost?tls=required";
        assert!(wrong(tls).contains("mail.ca (AUTH0_SYNC_MAIL_CA)") && wrong(tls).contains("cannot be read"));
        std::fs::write(&file, "no certificate").unwrap();
        assert!(wrong(tls).contains("no certificate in PEM"));
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
