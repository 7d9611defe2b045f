//! One error type; its [`Kind`] is at once the metric label, the value in `_sync_cdc.error` and
//! the key on the status page. What a kind leads to stands in one table: [`Kind::policy`].

use std::fmt;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong: a kind that decides, a sentence that tells, and the cause underneath.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    what: String,
    source: Option<Source>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $label:literal, $retry:ident, $hint:literal;)*) => {
        /// Every way this program fails. HTTP status and SQLSTATE choose it once, text never.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// Every kind, for tests and for the reference page.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// The stable name, in snake case.
            pub fn as_str(self) -> &'static str {
                match self { $(Kind::$name => $label,)* }
            }

            /// What the service does about it and what an operator can do.
            pub fn policy(self) -> Policy {
                match self { $(Kind::$name => Policy { retry: Retry::$retry, hint: $hint },)* }
            }
        }
    };
}

/// The answer to "what now?" for a [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether trying again by itself makes sense.
    pub retry: Retry,
    /// One sentence for the operator: the mend.
    pub hint: &'static str,
}

/// Whether the service tries again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Again, with growing delays: the cause passes.
    Backoff,
    /// Not before someone mends the cause.
    Never,
}

kinds! {
    /// A configuration value is missing or wrong.
    Config = "config", Never, "Correct the named key in auth0-sync.toml or the environment.";
    /// The catalogue's data files contradict themselves.
    Catalog = "catalog", Never, "Correct the named file under catalog/; this is a fault of the build.";
    /// Postgres could not be reached, or the connection broke.
    DatabaseUnavailable = "database_unavailable", Backoff, "Check that Postgres runs and that DATABASE_URL names it.";
    /// Postgres refused the login.
    DatabaseLogin = "database_login", Never, "Check role and password in DATABASE_URL, and pg_hba.conf.";
    /// Postgres refused a statement for lack of a privilege.
    DatabasePrivilege = "database_privilege", Never, "Run `auth0-sync doctor`: it names the missing privilege.";
    /// Another session holds the row or waits for it; it is taken up again.
    DatabaseBusy = "database_busy", Backoff, "Nothing to do: the row is taken up again when it is free.";
    /// Postgres refused a statement of the service: a fault of ours or a change of the schema.
    Database = "database", Backoff, "Run `auth0-sync setup`; if it stays, report it with the log line.";
    /// The replication slot or stream cannot be used.
    Replication = "replication", Backoff, "Check wal_level, max_replication_slots and the REPLICATION attribute of the role.";
    /// The replication slot is gone, was invalidated, or cannot be read on from where it stands.
    SlotLost = "slot_lost", Backoff, "Nothing to do: a new slot is made and every unsettled mutation is read again.";
    /// Something other than the service owns a name that it needs.
    SetupConflict = "setup_conflict", Never, "Rename or drop the object that stands in the way, or configure another schema.";
    /// A check of `setup` or `doctor` failed.
    SetupCheck = "setup_check", Never, "Follow the mend that the check prints.";
    /// Auth0's host could not be reached; the request never left.
    Auth0Unreachable = "auth0_unreachable", Backoff, "Check AUTH0_DOMAIN and the way out to it; writes wait meanwhile.";
    /// The request left and no answer came; it is read back before anything else.
    Auth0NoAnswer = "auth0_no_answer", Backoff, "Nothing to do: the outcome is read back before it is decided.";
    /// Auth0 answered 5xx.
    Auth0Server = "auth0_server", Backoff, "Look at status.auth0.com; writes wait meanwhile.";
    /// The token endpoint refused the credentials.
    Auth0Credentials = "auth0_credentials", Never, "Check AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET of the machine-to-machine application.";
    /// Auth0 answered 401 to a fresh token.
    Auth0Token = "auth0_token", Backoff, "Authorize the application for the Auth0 Management API of this tenant.";
    /// Auth0 answered 403.
    Auth0Forbidden = "auth0_forbidden", Never, "Grant the scope named in the message to the application, or upgrade the plan.";
    /// Auth0 answered 403 for a scope that the application does not have any more.
    Auth0Scope = "auth0_scope", Never, "Grant the application the scope that is missing (`auth0-sync doctor` names it); writes that need it wait meanwhile.";
    /// Auth0 answered 429.
    Auth0Throttled = "auth0_throttled", Backoff, "Nothing to do: the call is made again when the limit allows.";
    /// Auth0 refused the request (another 4xx).
    Auth0Refused = "auth0_refused", Never, "Read Auth0's message; the row is back at what Auth0 has.";
    /// Auth0 says that the thing does not exist (404).
    Auth0NotFound = "auth0_not_found", Never, "It was deleted at Auth0; the table follows.";
    /// Auth0 answered something that the catalogue does not describe.
    Auth0Answer = "auth0_answer", Backoff, "Report it with the log line: the catalogue may be behind Auth0.";
    /// An operator has paused writes.
    Paused = "paused", Never, "Wait until an operator ends the pause with `auth0-sync resume`.";
    /// A client has taken held changes back.
    Discarded = "discarded", Never, "Nothing to do: the changes were held and then discarded.";
    /// Auth0 has something else than the client had read.
    Conflict = "conflict", Never, "Read the row, which has been brought up to date, and decide anew.";
    /// A client wants a change to go in a way that it cannot.
    Bulk = "bulk", Never, "Set auth0.bulk to auto or single, or write what an import takes.";
    /// The link of a file does not hold any more.
    Auth0Link = "auth0_link", Backoff, "Nothing to do: a new link is asked for.";
    /// The mail server could not be reached, or asks to come again later.
    MailServer = "mail_server", Backoff, "Check that the server in mail.server answers; a certificate that no public authority has signed must stand in mail.ca, and the server's own must not be marked as an authority's (CA:FALSE).";
    /// The mail server refuses the login or the mail.
    MailRefused = "mail_refused", Never, "Correct user, password and TLS in mail.server, or the addresses in mail.from and mail.to.";
    /// A file or a process of this machine failed.
    Io = "io", Never, "Check the named path or program.";
    /// A fault of this program.
    Internal = "internal", Backoff, "Report it with the log line.";
}

impl Kind {
    /// Whether somebody takes away and gives back what it is about, whatever is asked: nothing may be
    /// reverted or forgotten for it.
    pub fn is_of_access(self) -> bool {
        matches!(self, Kind::Auth0Credentials | Kind::Auth0Token | Kind::Auth0Scope)
    }
}

impl Error {
    /// A new error without a cause; `what` is a sentence without a full stop.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, what: what.into(), source: None }))
    }

    /// The same with the cause underneath.
    pub fn with(kind: Kind, what: impl Into<String>, source: impl Into<Source>) -> Self {
        Error(Box::new(Inner { kind, what: what.into(), source: Some(source.into()) }))
    }

    /// What decides.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The sentence, without the cause.
    pub fn what(&self) -> &str {
        &self.0.what
    }
}

impl fmt::Display for Error {
    /// The sentence and every cause, joined by colons; a cause that the text above has already
    /// told (drivers do that) is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.what.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(source) = cause {
            let text = source.to_string();
            if !told.ends_with(&text) {
                told.push_str(": ");
                told.push_str(&text);
            }
            cause = source.source();
        }
        f.write_str(&told)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self, self.0.kind.as_str())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|s| s as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_label_of_its_own_and_a_hint() {
        let mut labels: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|kind| kind.policy().hint.ends_with('.')));
    }

    #[test]
    fn display_tells_the_whole_chain() {
        let io = std::io::Error::other("no route");
        let error = Error::with(Kind::Auth0Unreachable, "cannot reach Auth0", io);
        assert_eq!(error.to_string(), "cannot reach Auth0: no route");
        let outer = Error::with(Kind::Internal, "it failed: cannot reach Auth0: no route", error);
        assert_eq!(outer.to_string(), "it failed: cannot reach Auth0: no route");
    }
}
