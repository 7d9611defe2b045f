//! The server: version, settings, room for one more slot and walsender.

use super::Report;
use crate::pg::{Server, Slot};

const OLDEST: u32 = 14;
const NEWEST: u32 = 18;
const STRICT: u32 = 17;

/// Looks at the settings; a slot that exists needs no room for another.
pub(in crate::cli) fn check(server: &Server, slot: Option<&Slot>, report: &mut Report) {
    let version = &server.version;
    if server.major < OLDEST {
        report.wrong(
            format!("Postgres {version} is too old"),
            format!("upgrade to {OLDEST} or later; {STRICT} or later has strict mode too"),
        );
    } else if server.major > NEWEST {
        report.warn(
            format!("Postgres {version} is newer than what auth0-sync was tested with"),
            format!("{OLDEST} to {NEWEST} are tested"),
        );
    } else if server.major < STRICT {
        report.good(format!("Postgres {version} (strict mode needs {STRICT})"));
    } else {
        report.good(format!("Postgres {version}"));
    }
    if server.standby {
        report.wrong("this server is a standby and takes no writes", "name the primary in DATABASE_URL");
    }
    if server.encoding != "UTF8" {
        report.wrong(
            format!("the database's encoding is {}, and Auth0 speaks UTF-8", server.encoding),
            "create a database with encoding UTF8",
        );
    }
    match server.wal_level.as_str() {
        "logical" => report.good("wal_level is logical"),
        other => report.wrong(
            format!("wal_level is {other}, and logical is needed"),
            "as a superuser: alter system set wal_level = 'logical'; then restart Postgres\n\
             (Amazon RDS: rds.logical_replication = 1; Cloud SQL: cloudsql.logical_decoding = on)",
        ),
    }
    room("max_replication_slots", "replication slots", server.slots, slot.is_some(), report);
    room("max_wal_senders", "walsenders", server.senders, slot.is_some_and(|slot| slot.active), report);
}

fn room(setting: &str, what: &str, (used, most): (i64, i64), have_ours: bool, report: &mut Report) {
    if have_ours || used < most {
        report.good(format!("{what}: {used} of {most} used"));
    } else {
        report.wrong(
            format!("all {most} {what} are in use"),
            format!("as a superuser: alter system set {setting} = {}; then restart Postgres", most + 4),
        );
    }
}
