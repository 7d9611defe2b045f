//! A schema made from any catalogue, without Auth0: what the database itself does.

use auth0_sync::catalog::Catalog;
use auth0_sync::pg::{self, Existing, Goal, Roles};
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

    /// What stands in the way, and what setup would change.
    pub(crate) async fn plan(
        &mut self,
        catalog: &Catalog,
        drop: bool,
    ) -> (Vec<pg::Conflict>, Vec<pg::Change>) {
        let goal = Goal { catalog, schema: "auth0", role: ROLE, domain: DOMAIN, drop };
        let existing = Existing::read(&mut self.service.connection, goal.schema, goal.role).await.unwrap();
        (pg::conflicts(&goal, &existing), pg::plan(&goal, &existing))
    }

    /// Changes it, and finds nothing to change afterwards.
    pub(crate) async fn apply(&mut self, catalog: &Catalog) -> Vec<String> {
        self.make(catalog, false).await
    }

    /// The same, and what is not selected any more is dropped.
    pub(crate) async fn drop_rest(&mut self, catalog: &Catalog) -> Vec<String> {
        self.make(catalog, true).await
    }

    async fn make(&mut self, catalog: &Catalog, drop: bool) -> Vec<String> {
        let (conflicts, changes) = self.plan(catalog, drop).await;
        assert_eq!(conflicts, [], "nothing stands in the way");
        let goal = Goal { catalog, schema: "auth0", role: ROLE, domain: DOMAIN, drop };
        pg::apply(&mut self.service.connection, &goal, &changes).await.unwrap();
        let (conflicts, again) = self.plan(catalog, drop).await;
        assert_eq!((conflicts, again), (vec![], vec![]), "a second run changes nothing");
        changes.into_iter().map(|change| change.what).collect()
    }

    /// A client of its own.
    pub(crate) async fn client(&self) -> Session {
        self.postgres.create_role("app", "in role auth0_writer", DATABASE).await;
        Session::open(&self.postgres.url("app", "app", DATABASE)).await
    }
}
