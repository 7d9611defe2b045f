//! Which ways to write and to wait the server offers, and what its settings make of COMMIT.

use super::Report;
use crate::pg::Server;

const STRICT: u32 = 17;
/// What the service's sessions are called, its walsender among them.
const NAME: &str = "auth0-sync";

/// Says it.
pub(in crate::cli) fn check(server: &Server, report: &mut Report) {
    if server.major >= STRICT {
        report.good("ways to write: async, wait, strict");
    } else {
        report.good(format!("ways to write: async, wait (strict needs Postgres {STRICT})"));
    }
    let names = server.synchronous_standbys.as_str();
    if names.contains(NAME) || names.contains('*') {
        report.warn(
            format!(
                "synchronous_standby_names lists {NAME}: with synchronous_commit = on, COMMIT waits until the service has it, \
                 with remote_apply until Auth0 has answered it and every earlier one; not for held changes, nor for \
                 auth0.on_conflict, nor for more than 100 changes at once"
            ),
            "while the service is down or paused every such COMMIT waits, of other databases too; \
             `set synchronous_commit = local` does not",
        );
    } else {
        report.good(format!(
            "synchronous_standby_names does not list {NAME}: COMMIT waits for Auth0 in no session, remote_apply or not"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_service_is_a_warning_and_a_server_without_is_fine() {
        let warned = |major: u32, names: &str| {
            let server = Server {
                major,
                version: major.to_string(),
                database: "d".into(),
                encoding: "UTF8".into(),
                wal_level: "logical".into(),
                slots: (0, 10),
                senders: (0, 10),
                standby: false,
                synchronous_standbys: names.into(),
            };
            let mut report = Report::default();
            check(&server, &mut report);
            report.warnings()
        };
        assert_eq!(warned(18, "FIRST 1 (\"auth0-sync\", other)"), 1);
        assert_eq!(warned(18, "*"), 1);
        assert_eq!((warned(18, ""), warned(14, "other")), (0, 0));
    }
}
