//! Clients of the database: random statements, and books of what Postgres has promised them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::support::Stand;
use crate::tally::Tally;

/// Begins the name of every row that a client counts on: nobody else deletes it.
pub(crate) const OWN: &str = "diary";

/// Between two writes of a client: what an unoptimized service keeps up with under faults.
const PACE: Duration = Duration::from_millis(100);

/// What Postgres has promised a client.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// The client's number.
    pub(crate) number: u64,
    /// The last entry whose COMMIT returned.
    pub(crate) entry: u64,
    /// Later entries whose COMMIT did not answer.
    pub(crate) perhaps: Vec<u64>,
    /// Whether the link was there after the last statement that returned; none where a later one
    /// did not answer.
    pub(crate) linked: Option<bool>,
    /// Names of rows whose INSERT returned and that this client has not deleted: table and name.
    pub(crate) made: BTreeSet<(&'static str, String)>,
}

/// One client.
pub(crate) struct Client {
    book: Book,
    made: u64,
    url: String,
    connection: Option<PgConnection>,
    rng: StdRng,
    tally: Arc<Tally>,
}

/// What became of a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Committed; so many rows.
    Done(u64),
    /// The server refused it: nothing is stored.
    Refused,
    /// The connection broke first.
    Unknown,
}

impl Client {
    /// A client with a row of its own to write a diary in, and a role to take and to give back.
    pub(crate) async fn begin(number: u64, seed: u64, stand: &Stand, tally: Arc<Tally>) -> Self {
        let mut session = stand.session().await;
        session
            .confirmed(&format!(
                "insert into auth0.user (user_id, email, connection, password, nickname) values \
                 ('auth0|{OWN}{number}', '{OWN}{number}@example.com', 'Username-Password-Authentication', 'long-enough-1A!', 'e0')"
            ))
            .await;
        session.confirmed(&format!("insert into auth0.role (name) values ('{OWN}{number}')")).await;
        Client {
            book: Book { number, linked: Some(false), ..Book::default() },
            made: 0,
            url: stand.app_url.clone(),
            connection: None,
            rng: StdRng::seed_from_u64(seed ^ (0xc11 + number)),
            tally,
        }
    }

    /// Writes again and again until `stop`; returns the books.
    pub(crate) async fn work(mut self, stop: CancellationToken) -> Book {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            pace.tick().await;
            if self.connection.is_none() {
                self.connection = PgConnection::connect(&self.url).await.ok();
            }
            if self.connection.is_some() {
                self.write().await;
            }
        }
        self.book
    }

    async fn write(&mut self) {
        match self.rng.random_range(0..100) {
            0..20 => self.note().await,
            20..27 => self.link().await,
            27..40 => self.make().await,
            40..46 => self.unmake().await,
            _ => {
                let sql = self.statement();
                self.run(&sql).await;
            }
        }
    }

    /// One statement, counted by its table and its end.
    async fn run(&mut self, sql: &str) -> End {
        let Some(connection) = self.connection.as_mut() else { return End::Unknown };
        let end = match connection.execute(AssertSqlSafe(sql.to_owned())).await {
            Ok(done) => End::Done(done.rows_affected()),
            // Class 57 and 08: the server ends the connection.
            Err(sqlx::Error::Database(error)) => match error.code().as_deref() {
                Some(code) if code.starts_with("57") || code.starts_with("08") => End::Unknown,
                Some(code) => {
                    self.tally.add(&format!("client: refused with {code}"));
                    End::Refused
                }
                None => End::Unknown,
            },
            Err(_) => End::Unknown,
        };
        let table = sql.split("auth0.").nth(1).and_then(|rest| rest.split(' ').next());
        let verb = sql.split(' ').next().unwrap_or_default();
        let word = match end {
            End::Done(_) => "done",
            End::Refused => "refused",
            End::Unknown => "not answered",
        };
        self.tally.add(&format!("client: {verb} {} {word}", table.unwrap_or_default()));
        if end == End::Unknown {
            self.connection = None;
        }
        end
    }

    /// The next entry of the diary.
    async fn note(&mut self) {
        let (number, entry) = (self.book.number, self.next_entry());
        let sql =
            format!("update auth0.user set nickname = 'e{entry}' where user_id = 'auth0|{OWN}{number}'");
        match self.run(&sql).await {
            End::Done(rows) => {
                assert_eq!(rows, 1, "the diary of client {number} has gone");
                self.book.entry = entry;
                self.book.perhaps.clear();
            }
            End::Refused => {}
            End::Unknown => self.book.perhaps.push(entry),
        }
    }

    fn next_entry(&self) -> u64 {
        self.book.perhaps.last().map_or(self.book.entry, |last| *last.max(&self.book.entry)) + 1
    }

    /// Takes the role, or gives it back.
    async fn link(&mut self) {
        let (number, there) = (self.book.number, self.rng.random_bool(0.5));
        let (user, role) = (
            format!("'auth0|{OWN}{number}'"),
            format!("select id from auth0.role where name = '{OWN}{number}'"),
        );
        let sql = match there {
            true => format!(
                "insert into auth0.user_role (user_id, role_id) select {user}, id from ({role}) r on conflict do nothing"
            ),
            false => format!("delete from auth0.user_role where user_id = {user} and role_id = ({role})"),
        };
        match self.run(&sql).await {
            End::Done(_) => self.book.linked = Some(there),
            End::Refused => {}
            End::Unknown => self.book.linked = None,
        }
    }

    /// A new row with a name of its own.
    async fn make(&mut self) {
        self.made += 1;
        let name = format!("{OWN}{}-{}", self.book.number, self.made);
        let (table, sql) = match self.rng.random_range(0..5) {
            0 => ("role", format!("insert into auth0.role (name, description) values ('{name}', 'x')")),
            1 => ("organization", format!("insert into auth0.organization (name) values ('{name}')")),
            2 => ("client", format!("insert into auth0.client (name) values ('{name}')")),
            3 => (
                "resource_server",
                format!(
                    "insert into auth0.resource_server (name, identifier, scopes) values \
                     ('{name}', 'https://{name}.example', '[{{\"value\": \"read:all\"}}]')"
                ),
            ),
            _ => (
                "user",
                format!(
                    "insert into auth0.user (user_id, email, connection, password) values \
                     ('auth0|{name}', '{name}@example.com', 'Username-Password-Authentication', 'long-enough-1A!')"
                ),
            ),
        };
        if let End::Done(_) = self.run(&sql).await {
            self.book.made.insert((table, name));
        }
    }

    /// Deletes a row that it has made.
    async fn unmake(&mut self) {
        let made = &self.book.made;
        let Some((table, name)) = made.iter().nth(self.rng.random_range(0..made.len().max(1))).cloned()
        else {
            return;
        };
        let sql = match table {
            "user" => format!("delete from auth0.user where user_id = 'auth0|{name}'"),
            _ => format!("delete from auth0.{table} where name = '{name}'"),
        };
        match self.run(&sql).await {
            End::Done(rows) => {
                assert_eq!(rows, 1, "{table} {name} has gone, and nobody else deletes it");
                self.book.made.remove(&(table, name));
            }
            End::Refused => {}
            // It may be there, or not.
            End::Unknown => drop(self.book.made.remove(&(table, name))),
        }
    }

    /// A change of rows that others change too.
    fn statement(&mut self) -> String {
        self.made += 1;
        let word = format!("s{}-{}", self.book.number, self.made);
        let few = self.made % 5;
        let some = |rng: &mut StdRng, table: &str, key: &str, beside: &str| {
            format!(
                "(select {key} from auth0.{table} where {key} not like '%{OWN}%' {beside} order by md5({key} || '{}') limit 1)",
                rng.random::<u32>()
            )
        };
        let rng = &mut self.rng;
        let user = some(rng, "user", "user_id", "");
        let own = format!("and name not like '{OWN}%'");
        let role = some(rng, "role", "id", &own);
        let organization = some(rng, "organization", "id", &own);
        match rng.random_range(0..24) {
            0..5 => format!("update auth0.user set nickname = '{word}' where user_id = {user}"),
            5 => format!(
                "update auth0.user set given_name = '{word}' where user_id in (select user_id from auth0.user order by md5(user_id || '{word}') limit 5)"
            ),
            6 => format!(
                "update auth0.user set user_metadata = coalesce(user_metadata, '{{}}') || '{{\"k{few}\": \"{word}\"}}' where user_id = {user}"
            ),
            7 => format!(
                "update auth0.user set email = (select max(email) from auth0.user where user_id like 'auth0|{OWN}%') where user_id = {user}"
            ),
            8 => format!(
                "delete from auth0.user where user_id = {user} and (select count(*) from auth0.user where user_id not like '%{OWN}%') > 30"
            ),
            9 => format!("update auth0.role set description = '{word}' where id = {role}"),
            10 => {
                format!(
                    "delete from auth0.role where id = {role} and (select count(*) from auth0.role where name not like '{OWN}%') > 8"
                )
            }
            11 => format!(
                "update auth0.organization set display_name = '{word}', metadata = '{{\"w\": \"{word}\"}}' where id = {organization}"
            ),
            12 => format!(
                "insert into auth0.organization_member (organization_id, user_id) select {organization}, {user} on conflict do nothing"
            ),
            13 => format!(
                "delete from auth0.organization_member where (organization_id, user_id) = (select organization_id, user_id from auth0.organization_member order by md5(user_id || '{word}') limit 1)"
            ),
            14 => format!(
                "insert into auth0.user_role (user_id, role_id) select {user}, {role} on conflict do nothing"
            ),
            15 => format!(
                "delete from auth0.user_role where (user_id, role_id) = (select user_id, role_id from auth0.user_role where user_id not like '%{OWN}%' order by md5(user_id || '{word}') limit 1)"
            ),
            16 => format!(
                "insert into auth0.role_permission (role_id, resource_server_identifier, permission_name) \
                 select {role}, identifier, 'read:all' from auth0.resource_server where scopes @> '[{{\"value\": \"read:all\"}}]' order by md5(id || '{word}') limit 1 on conflict do nothing"
            ),
            17 => format!("delete from auth0.role_permission where role_id = {role}"),
            18 => format!(
                "insert into auth0.client_grant (client_id, audience, scope) \
                 select c.client_id, s.identifier, '{{read:all}}' from auth0.client c, auth0.resource_server s \
                 where s.scopes @> '[{{\"value\": \"read:all\"}}]' order by md5(c.client_id || s.id || '{word}') limit 1"
            ),
            19 => format!(
                "delete from auth0.client_grant where id = (select id from auth0.client_grant where is_system is not true order by md5(id || '{word}') limit 1)"
            ),
            20 => format!(
                "insert into auth0.organization_member_role (organization_id, user_id, role_id) \
                 select organization_id, user_id, {role} from auth0.organization_member order by md5(user_id || '{word}') limit 1 on conflict do nothing"
            ),
            21 => format!(
                "update auth0.client set description = '{word}' where client_id = {}",
                some(rng, "client", "client_id", "")
            ),
            22 => format!(
                "with o as (insert into auth0.organization (name) values ('{word}') returning id) \
                 insert into auth0.organization_member (organization_id, user_id) select o.id, u.user_id from o, (select user_id from auth0.user where user_id not like '%{OWN}%' order by md5(user_id || '{word}') limit 2) u"
            ),
            _ => format!(
                "delete from auth0.organization where id = {organization} and (select count(*) from auth0.organization where name not like '{OWN}%') > 8"
            ),
        }
    }
}
