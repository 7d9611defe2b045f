//! A schema made from any catalogue, without Auth0: what the database itself does.

use auth0_sync::catalog::Catalog;
use auth0_sync::pg::{self, Existing, Roles};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::support::stand::DATABASE;
use super::support::{Postgres, Session};

const DOMAIN: &str = "tenant.test";
const ROLE: &str = "auth0_sync";

/// A database with the schema `auth0`.
pub(crate) struct Mirror {
    pub(crate) postgres: Postgres,
    /// The service's own connection.
    pub(crate) service: Session,
}

impl Mirror {
    /// Roles and bookkeeping are there, and no table yet.
    pub(crate) async fn new(postgres: Postgres) -> Self {
        postgres.create_database(DATABASE).await;
        let mut admin = postgres.admin(DATABASE).await;
        let roles =
            Roles { service: ROLE.to_owned(), schema: "auth0".to_owned(), database: DATABASE.to_owned() };
        for change in roles.plan(&mut admin, Some("service")).await.unwrap() {
            admin.execute(AssertSqlSafe(change.sql)).await.unwrap();
        }
        let url = postgres.url(ROLE, "service", DATABASE);
        let mut connection = PgConnection::connect(&url).await.unwrap();
        pg::migrate(&mut connection).await.unwrap();
        Mirror { postgres, service: Session { connection } }
    }

    /// What setup would change.
    pub(crate) async fn plan(&mut self, catalog: &Catalog) -> Vec<pg::Change> {
        let existing = Existing::read(&mut self.service.connection, "auth0", ROLE).await.unwrap();
        let conflicts = pg::conflicts(catalog, "auth0", ROLE, DOMAIN, &existing);
        assert_eq!(conflicts, [], "nothing stands in the way");
        pg::plan(catalog, "auth0", ROLE, &existing)
    }

    /// Changes it, and finds nothing to change afterwards.
    pub(crate) async fn apply(&mut self, catalog: &Catalog) -> Vec<String> {
        let changes = self.plan(catalog).await;
        pg::apply(&mut self.service.connection, "auth0", DOMAIN, &changes).await.unwrap();
        let again: Vec<_> = self.plan(catalog).await.into_iter().map(|change| change.what).collect();
        assert_eq!(again, [""; 0], "a second run changes nothing");
        changes.into_iter().map(|change| change.what).collect()
    }

    /// A client of its own.
    pub(crate) async fn client(&self) -> Session {
        self.postgres.create_role("app", "in role auth0_writer", DATABASE).await;
        Session::open(&self.postgres.url("app", "app", DATABASE)).await
    }
}
