//! What a client of one collection goes through, told step by step: rows are read after the
//! backfill, every write that the API has is confirmed, one is refused in the statement, one is
//! refused by Auth0 and reverted, and a change at Auth0 is seen. [`Story::end`] holds that nothing
//! of it was left out.

use std::collections::BTreeSet;
use std::time::Duration;

use auth0_sync::catalog::{Catalog, Resource};
use reqwest::Method;
use serde_json::Value;

use crate::support::{Emulator, Postgres, Session, Stand, equal, wait_until};

const WITHIN: Duration = Duration::from_secs(20);

/// The parts that every story has.
const PARTS: [&str; 4] = ["read", "refused", "reverted", "changed"];

/// One collection's story.
pub struct Story {
    /// Postgres, emulator and service.
    pub stand: Stand,
    /// An application's connection.
    pub session: Session,
    tables: Vec<&'static str>,
    told: BTreeSet<&'static str>,
    excused: Vec<(&'static str, &'static str)>,
}

impl Story {
    /// A tenant with this many users on which `before` has worked, mirrored in these tables and
    /// those that they need.
    pub async fn begin(tables: &[&'static str], users: u32, before: impl AsyncFnOnce(&Emulator)) -> Story {
        Self::beside(tables, &[], users, before).await
    }

    /// The same with `others` mirrored too, of which the story need not tell.
    pub async fn beside(
        tables: &[&'static str],
        others: &[&str],
        users: u32,
        before: impl AsyncFnOnce(&Emulator),
    ) -> Story {
        let emulator = Emulator::start(users).await;
        before(&emulator).await;
        let objects = [tables, others].concat();
        let mut stand = Stand::with_objects(Postgres::start(), emulator, &objects).await;
        stand.restart_service().await;
        let session = stand.session().await;
        Story { stand, session, tables: tables.to_vec(), told: BTreeSet::new(), excused: Vec::new() }
    }

    /// A query's first value, once the backfill is done.
    pub async fn reads(&mut self, sql: &str, expected: impl Into<Value>) {
        let expected = expected.into();
        assert_eq!(self.session.one(sql).await, expected, "{sql}");
        self.told.insert("read");
    }

    /// A write that Auth0 confirms.
    pub async fn writes(&mut self, sql: &str) {
        self.session.confirmed(sql).await;
    }

    /// What Auth0 shows under a path and a JSON pointer.
    pub async fn auth0(&self, path: &str, pointer: &str, expected: impl Into<Value>) {
        let answer = self.stand.emulator.api.get(&format!("/api/v2{path}")).await;
        let shown = answer.pointer(pointer).cloned().unwrap_or(Value::Null);
        assert_eq!(shown, expected.into(), "GET {path} {pointer}: {answer}");
    }

    /// That Auth0 has nothing under a path.
    pub async fn gone(&self, path: &str) {
        let (status, answer) =
            self.stand.emulator.api.send(Method::GET, &format!("/api/v2{path}"), None).await;
        assert_eq!(status, 404, "GET {path}: {answer}");
    }

    /// A statement that is refused before anything is stored.
    pub async fn refused(&mut self, sql: &str, code: &str, message: &str) {
        let refusal = self.session.refused(sql).await;
        assert_eq!(refusal.code, code, "{sql}: {refusal:?}");
        assert!(refusal.message.starts_with(&format!("[Auth0] {message}")), "{sql}: {refusal:?}");
        self.told.insert("refused");
    }

    /// A write that Auth0 refuses with this message; afterwards `check` gives what it gave before.
    pub async fn reverted(&mut self, sql: &str, message: &str, check: &str) {
        let before = self.session.one(check).await;
        self.session.run(sql).await;
        let refusal = self.session.wait().await.expect_err(sql);
        assert!(refusal.message.contains(message), "{sql}: {refusal:?}");
        let after = self.session.one(check).await;
        assert_eq!(after, before, "{sql}: not as it was");
        self.told.insert("reverted");
    }

    /// A call that somebody else makes at Auth0, after which the query gives this.
    pub async fn changed(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Value>,
        sql: &str,
        expected: impl Into<Value>,
    ) {
        let path = format!("/api/v2{path}");
        let (status, answer) = self.stand.emulator.api.send(method.clone(), &path, body.as_ref()).await;
        assert!(status.is_success(), "{method} {path} → {status}: {answer}");
        self.sees(sql, expected).await;
    }

    /// That the query comes to give this, after a change at Auth0.
    pub async fn sees(&mut self, sql: &str, expected: impl Into<Value>) {
        let expected = expected.into();
        let session = &mut self.session;
        wait_until(&format!("{sql} gives {expected}"), WITHIN, async || session.one(sql).await == expected)
            .await;
        self.told.insert("changed");
    }

    /// A part, or a write as `table INSERT`, that the API cannot have, and why.
    pub fn without(&mut self, what: &'static str, why: &'static str) {
        self.excused.push((what, why));
    }

    /// Nothing was left out, and the tables are what Auth0 has.
    pub async fn end(mut self) {
        for part in PARTS {
            let excused = self.excused.iter().any(|(what, _)| *what == part);
            assert!(self.told.contains(part) || excused, "the story has no part \"{part}\"");
        }
        let catalog = Catalog::bundled().unwrap();
        for table in self.tables.clone() {
            let resource = catalog.get(table).unwrap();
            for operation in operations(resource) {
                let write = format!("{table} {operation}");
                if self.excused.iter().any(|(what, _)| *what == write) {
                    continue;
                }
                let sql = format!(
                    "select count(*) from auth0._sync_cdc where state = 'confirmed' \
                     and \"table\" = '{table}' and operation = '{operation}'"
                );
                assert!(self.session.count(&sql).await > 0, "the story has no confirmed {write}");
            }
        }
        equal(&self.stand).await;
    }
}

/// The writes that the API has for a table and that are sent to it.
fn operations(resource: &Resource) -> Vec<&'static str> {
    let sent = resource.kind.is_read();
    let able = [
        ("INSERT", resource.inserts()),
        ("UPDATE", sent && resource.updates()),
        ("DELETE", sent && resource.deletes()),
    ];
    able.into_iter().filter(|(_, able)| *able).map(|(operation, _)| operation).collect()
}
