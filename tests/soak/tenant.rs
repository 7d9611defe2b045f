//! Writers at Auth0: another application of the tenant, by the Management API.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};

use crate::clients::OWN;
use crate::pace::Pace;
use crate::support::{Api, Emulator};
use crate::tally::Tally;

/// So many rows of a collection at most; then they are deleted instead.
const MOST: usize = 60;
const APPLICATION: &str = "somebody else";
const CONNECTION: &str = "Username-Password-Authentication";
const SCOPES: [&str; 4] = ["read:all", "write:all", "delete:all", "see:all"];

/// A client of the tenant that is not the service's.
pub(crate) async fn application(emulator: &Emulator) -> Api {
    let body = json!({"name": APPLICATION, "app_type": "non_interactive"});
    let made = emulator.api.post("/api/v2/clients", body).await;
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    Api::connect(&emulator.url, &text("client_id"), &text("client_secret")).await
}

/// One writer.
pub(crate) struct Writer {
    number: u64,
    made: u64,
    api: Api,
    rng: StdRng,
    tally: Arc<Tally>,
}

impl Writer {
    pub(crate) fn new(number: u64, seed: u64, api: Api, tally: Arc<Tally>) -> Self {
        let rng = StdRng::seed_from_u64(seed ^ (0x7e0 + number));
        Writer { number, made: 0, api, rng, tally }
    }

    /// Changes something again and again.
    pub(crate) async fn work(mut self, mut pace: Pace) {
        while pace.step().await {
            // None where a row that the change needs is not there, or the tenant is away.
            let _ = self.change().await;
        }
    }

    async fn change(&mut self) -> Option<()> {
        match self.rng.random_range(0..100) {
            0..6 => self.make_user().await,
            6..26 => self.change_user().await,
            26..30 => self.log_in().await,
            30..33 => self.remove("/users", "user_id", 20).await,
            33..40 => {
                self.collection(
                    "/roles",
                    "id",
                    |name| json!({"name": name, "description": "x"}),
                    |word| json!({"description": word}),
                )
                .await
            }
            40..48 => {
                self.collection(
                    "/organizations",
                    "id",
                    |name| json!({"name": name, "display_name": "One"}),
                    |word| json!({"display_name": word, "metadata": {"word": word}}),
                )
                .await
            }
            48..53 => {
                self.collection(
                    "/clients",
                    "client_id",
                    |name| json!({"name": name, "app_type": "spa"}),
                    |word| json!({"description": word, "callbacks": [format!("https://{word}.example")]}),
                )
                .await
            }
            53..56 => {
                self.collection(
                    "/connections",
                    "id",
                    |name| json!({"name": name, "strategy": "auth0"}),
                    |word| json!({"display_name": word, "metadata": {"word": word}}),
                )
                .await
            }
            56..61 => {
                let api = |name: &str| {
                    let scopes: Vec<_> = SCOPES.iter().map(|value| json!({"value": value})).collect();
                    json!({"name": name, "identifier": format!("https://{name}.example"), "scopes": scopes})
                };
                self.collection("/resource-servers", "id", api, |word| json!({"name": word})).await
            }
            61..66 => self.client_grant().await,
            66..75 => self.user_role().await,
            75..80 => self.role_permission().await,
            80..84 => self.user_permission().await,
            84..91 => self.member().await,
            91..95 => self.member_role().await,
            95..99 => self.organization_connection().await,
            _ => {
                let word = self.word();
                self.call(Method::PATCH, "/tenants/settings", json!({"friendly_name": word})).await
            }
        }
    }

    /// A new name, of nobody else.
    fn name(&mut self) -> String {
        self.made += 1;
        format!("w{}-{}", self.number, self.made)
    }

    fn word(&mut self) -> String {
        format!("v{}", self.rng.random_range(0..1_000_000))
    }

    /// A call whose refusal is nobody's concern; counted by its outcome.
    async fn call(&mut self, method: Method, path: &str, body: Value) -> Option<()> {
        let sent = Some(&body).filter(|body| !body.is_null());
        let answer = self.api.try_send(method.clone(), &format!("/api/v2{path}"), sent).await;
        let first = path.split(['/', '?']).nth(1).unwrap_or_default();
        let end = match &answer {
            Ok((status, _)) if status.is_success() => "done",
            Ok((status, _)) if status.as_u16() == 429 || status.is_server_error() => "met a fault",
            Ok(_) => "refused",
            Err(_) => "not answered",
        };
        self.tally.add(&format!("Auth0: {method} {first} {end}"));
        Some(())
    }

    /// The rows of a list's first page.
    async fn list(&self, path: &str) -> Option<Vec<Value>> {
        let path = format!("/api/v2{path}?per_page=100&page=0");
        match self.api.try_send(Method::GET, &path, None).await {
            Ok((status, Value::Array(rows))) if status.is_success() => Some(rows),
            _ => None,
        }
    }

    /// A text of some row of a list; rows that the SQL clients count on are left to them.
    async fn some(&mut self, path: &str, column: &str) -> Option<String> {
        let rows = self.list(path).await?;
        let rows: Vec<_> = rows.iter().filter(|row| !is_kept(row)).collect();
        let row = rows.get(self.rng.random_range(0..rows.len().max(1)))?;
        Some(segment(row[column].as_str()?))
    }

    /// Makes, changes or removes a row of a collection.
    async fn collection(
        &mut self,
        path: &str,
        key: &str,
        make: impl Fn(&str) -> Value,
        change: impl Fn(&str) -> Value,
    ) -> Option<()> {
        match self.rng.random_range(0..7) {
            0..2 => {
                let name = self.name();
                self.call(Method::POST, path, make(&name)).await
            }
            2..5 => {
                let (id, word) = (self.some(path, key).await?, self.word());
                self.call(Method::PATCH, &format!("{path}/{id}"), change(&word)).await
            }
            _ => self.remove(path, key, 8).await,
        }
    }

    /// Removes one, where so many are left. What a fresh tenant has stays.
    async fn remove(&mut self, path: &str, key: &str, left: usize) -> Option<()> {
        let rows = self.list(path).await?;
        let ours = |row: &&Value| !is_kept(row) && row["name"] != CONNECTION && row["is_system"] != true;
        let rows: Vec<_> = rows.iter().filter(ours).collect();
        let row = rows.get(self.rng.random_range(0..rows.len().max(1))).filter(|_| rows.len() > left)?;
        self.call(Method::DELETE, &format!("{path}/{}", segment(row[key].as_str()?)), Value::Null).await
    }

    /// Somebody logs in: the tenant's Actions run.
    async fn log_in(&mut self) -> Option<()> {
        let rows = self.list("/users").await?;
        let row = rows.get(self.rng.random_range(0..rows.len().max(1)))?;
        let login =
            json!({"user_id": row["user_id"], "ip": format!("198.51.100.{}", self.rng.random::<u8>())});
        let (status, _) = self.api.try_send(Method::POST, "/_emulator/login", Some(&login)).await.ok()?;
        self.tally.add(&format!("Auth0: login {}", status.as_u16()));
        Some(())
    }

    async fn make_user(&mut self) -> Option<()> {
        if self.list("/users").await?.len() > MOST {
            return self.remove("/users", "user_id", 20).await;
        }
        let name = self.name();
        let body = json!({"connection": CONNECTION, "email": format!("{name}@example.com"), "password": "long-enough-1A!"});
        self.call(Method::POST, "/users", body).await
    }

    /// Rows that clients count on are changed too, in other columns than theirs.
    async fn change_user(&mut self) -> Option<()> {
        let rows = self.list("/users").await?;
        let row = rows.get(self.rng.random_range(0..rows.len().max(1)))?;
        let path = format!("/users/{}", segment(row["user_id"].as_str()?));
        let word = self.word();
        let body = match self.rng.random_range(0..5) {
            0 => json!({"given_name": word}),
            1 => json!({"user_metadata": {format!("k{}", self.rng.random_range(0..5)): word, "last": word}}),
            2 => json!({"app_metadata": {"plan": word}}),
            3 => json!({"user_metadata": {"last": null}}),
            _ if is_kept(row) => json!({"family_name": word}),
            _ => json!({"nickname": word, "blocked": self.rng.random_bool(0.2)}),
        };
        self.call(Method::PATCH, &path, body).await
    }

    async fn client_grant(&mut self) -> Option<()> {
        match self.rng.random_range(0..5) {
            0..2 => {
                let client = self.some("/clients", "client_id").await?;
                let rows = self.list("/resource-servers").await?;
                let api = rows.get(self.rng.random_range(0..rows.len().max(1)))?["identifier"].clone();
                let body = json!({"client_id": client, "audience": api, "scope": [SCOPES[0]]});
                self.call(Method::POST, "/client-grants", body).await
            }
            2..4 => {
                let id = self.some("/client-grants", "id").await?;
                let body = json!({"scope": [SCOPES[self.rng.random_range(0..SCOPES.len())]]});
                self.call(Method::PATCH, &format!("/client-grants/{id}"), body).await
            }
            _ => self.remove("/client-grants", "id", 4).await,
        }
    }

    /// Adds (most of the time) or takes away what a body names, by one path.
    async fn link(&mut self, path: &str, body: Value) -> Option<()> {
        let method = if self.rng.random_bool(0.6) { Method::POST } else { Method::DELETE };
        self.call(method, path, body).await
    }

    async fn user_role(&mut self) -> Option<()> {
        let (user, role) = (self.some("/users", "user_id").await?, self.some("/roles", "id").await?);
        self.link(&format!("/users/{user}/roles"), json!({"roles": [role]})).await
    }

    async fn permission(&mut self) -> Option<Value> {
        let rows = self.list("/resource-servers").await?;
        let api = rows.get(self.rng.random_range(0..rows.len().max(1)))?["identifier"].clone();
        let scope = SCOPES[self.rng.random_range(0..SCOPES.len())];
        Some(json!({"permissions": [{"resource_server_identifier": api, "permission_name": scope}]}))
    }

    async fn role_permission(&mut self) -> Option<()> {
        let (role, body) = (self.some("/roles", "id").await?, self.permission().await?);
        self.link(&format!("/roles/{role}/permissions"), body).await
    }

    async fn user_permission(&mut self) -> Option<()> {
        let (user, body) = (self.some("/users", "user_id").await?, self.permission().await?);
        self.link(&format!("/users/{user}/permissions"), body).await
    }

    async fn member(&mut self) -> Option<()> {
        let organization = self.some("/organizations", "id").await?;
        let user = self.some("/users", "user_id").await?.replace("%7C", "|");
        self.link(&format!("/organizations/{organization}/members"), json!({"members": [user]})).await
    }

    async fn member_role(&mut self) -> Option<()> {
        let organization = self.some("/organizations", "id").await?;
        let user = self.some(&format!("/organizations/{organization}/members"), "user_id").await?;
        let role = self.some("/roles", "id").await?;
        let path = format!("/organizations/{organization}/members/{user}/roles");
        self.link(&path, json!({"roles": [role]})).await
    }

    async fn organization_connection(&mut self) -> Option<()> {
        let organization = self.some("/organizations", "id").await?;
        let path = format!("/organizations/{organization}/enabled_connections");
        match self.rng.random_range(0..4) {
            0..2 => {
                let connection = self.some("/connections", "id").await?;
                self.call(Method::POST, &path, json!({"connection_id": connection})).await
            }
            2 => {
                let connection = self.some(&path, "connection_id").await?;
                let body = json!({"assign_membership_on_login": self.rng.random_bool(0.5)});
                self.call(Method::PATCH, &format!("{path}/{connection}"), body).await
            }
            _ => {
                let connection = self.some(&path, "connection_id").await?;
                self.call(Method::DELETE, &format!("{path}/{connection}"), Value::Null).await
            }
        }
    }
}

/// Whether a row is one that the writers must leave: the clients' own, the applications that make
/// this test, and what Auth0 itself has.
fn is_kept(row: &Value) -> bool {
    let text = |column: &str| row[column].as_str().unwrap_or_default();
    text("name").starts_with(OWN)
        || text("user_id").contains(OWN)
        || text("app_type") == "non_interactive"
        || row["global"] == true
        || row["is_system"] == true
}

/// A value as a segment of a path.
fn segment(value: &str) -> String {
    value.replace('|', "%7C")
}
