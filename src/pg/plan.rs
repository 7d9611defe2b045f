//! What setup changes in the database: the difference between what is selected of the catalogue and
//! what is there. Making it reads only; applying it is one transaction. Nothing is dropped that holds
//! rows, unless the goal says so.

mod conflict;
mod deselect;
mod existing;
mod goal;
mod roles;
mod table;

use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};

pub use conflict::{Conflict, conflicts};
use existing::digest;
pub use existing::{Existing, ExistingPublication};
pub use goal::{Goal, digest_of};
pub use roles::Roles;

use super::ddl::{self, Site};
use super::fault;
use super::ident::{ident, literal};
use crate::error::{Error, Kind, Result};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// One change: a sentence for people and the statements that make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// For example `create table auth0.user (28 columns)`.
    pub what: String,
    /// One or more statements.
    pub sql: String,
    /// One statement that runs in no transaction, behind all the others.
    pub alone: bool,
}

/// Brings the service's own objects up to date.
///
/// # Errors
/// `database_privilege` where the role may not create schemas, else `database`.
pub async fn migrate(connection: &mut PgConnection) -> Result<()> {
    sqlx::raw_sql("create schema if not exists _auth0_sync; set search_path = _auth0_sync")
        .execute(&mut *connection)
        .await
        .map_err(fault("cannot create schema _auth0_sync"))?;
    MIGRATIONS
        .run(&mut *connection)
        .await
        .map_err(|error| Error::with(Kind::Database, "cannot bring schema _auth0_sync up to date", error))?;
    sqlx::raw_sql("reset search_path")
        .execute(connection)
        .await
        .map_err(fault("cannot reset search_path"))?;
    Ok(())
}

/// How many of the service's own migrations the database has not had yet.
///
/// # Errors
/// `database_privilege` for a role that may not look into `_auth0_sync`, else `database`.
pub async fn pending_migrations(connection: &mut PgConnection) -> Result<usize> {
    let begun: bool = sqlx::query_scalar("select to_regclass('_auth0_sync._sqlx_migrations') is not null")
        .fetch_one(&mut *connection)
        .await
        .map_err(fault("cannot look for _auth0_sync"))?;
    if !begun {
        return Ok(MIGRATIONS.iter().count());
    }
    let applied: Vec<i64> =
        sqlx::query_scalar("select version from _auth0_sync._sqlx_migrations where success")
            .fetch_all(connection)
            .await
            .map_err(fault("cannot read the migrations of _auth0_sync"))?;
    Ok(MIGRATIONS.iter().filter(|migration| !applied.contains(&migration.version)).count())
}

/// What has to change so that the schema mirrors what is selected; nothing if it does. Look at
/// [`conflicts`] first: a plan knows nothing of other people's objects.
pub fn plan(goal: &Goal<'_>, existing: &Existing) -> Vec<Change> {
    let (schema, role) = (goal.schema, goal.role);
    let site = Site { schema, role };
    let mut plan = Plan {
        site: &site,
        drop: goal.drop,
        existing,
        changes: Vec::new(),
        last: Vec::new(),
        alone: Vec::new(),
        closed: Vec::new(),
    };
    if !existing.has_schema {
        plan.change(format!("create schema {schema}"), format!("create schema {}", ident(schema)));
    }
    if !existing.has_bookkeeping {
        plan.change(format!("create table {schema}._sync_cdc"), ddl::bookkeeping(&site));
    } else if existing.columns.get("_sync_cdc").is_none_or(|columns| !columns.contains_key("options")) {
        let sql = ddl::bookkeeping_options(&site) + &ddl::bookkeeping_states(&site);
        plan.change(format!("add column {schema}._sync_cdc.options"), sql);
    } else if !existing.knows_states {
        plan.change(format!("let {schema}._sync_cdc have new states"), ddl::bookkeeping_states(&site));
    }
    for function in ddl::functions(&site) {
        plan.function(&function);
    }
    plan.deselect(goal.catalog);
    for resource in goal.catalog.iter() {
        plan.resource(resource);
    }
    let last = std::mem::take(&mut plan.last);
    plan.changes.extend(last);
    plan.grant_schema();
    if !existing.named {
        // The replication connection cannot say it itself, and synchronous_standby_names goes by it.
        let sql = format!("alter role {} set application_name = 'auth0-sync'", ident(role));
        plan.change(format!("call the sessions of {role} auth0-sync"), sql);
    }
    plan.publish();
    let selection = digest_of(goal.catalog);
    let begun = plan.changes.len();
    for function in ddl::described(&site, goal.catalog) {
        plan.function(&function);
    }
    if existing.selection.as_ref() != Some(&selection) && existing.domain.is_some() {
        let sql = format!(
            "update _auth0_sync.tenant set selection = {} where schema = {}",
            literal(&selection),
            literal(schema)
        );
        plan.change("tell the service what is selected".to_owned(), sql);
        plan.fold(begun, Some("tell the service what is selected".to_owned()));
    }
    let closed = std::mem::take(&mut plan.closed);
    if !closed.is_empty() {
        plan.change(
            format!("let nobody else call {} functions of triggers", closed.len()),
            closed.join(";\n"),
        );
    }
    plan.changes.extend(plan.alone);
    plan.changes
}

/// A plan in the making.
struct Plan<'a> {
    site: &'a Site<'a>,
    drop: bool,
    existing: &'a Existing,
    changes: Vec<Change>,
    /// Those that come after the changes of all tables.
    last: Vec<Change>,
    /// Those that run in no transaction.
    alone: Vec<Change>,
    /// Statements that take functions from everybody, of functions that are as they should be otherwise.
    closed: Vec<String>,
}

impl Plan<'_> {
    fn change(&mut self, what: String, sql: String) {
        self.changes.push(Change { what, sql, alone: false });
    }

    fn alone(&mut self, what: String, sql: String) {
        self.alone.push(Change { what, sql, alone: true });
    }

    fn grant_schema(&mut self) {
        let schema = self.site.schema;
        let reader = ident(&format!("{schema}_reader"));
        if !self.existing.reader_enters {
            let sql = format!("grant usage on schema {} to {reader}", ident(schema));
            self.change(format!("let {schema}_reader use schema {schema}"), sql);
        }
        if !self.existing.reader_sees_cdc {
            let sql = format!("grant select on {} to {reader}", self.site.name("_sync_cdc"));
            self.change(format!("let {schema}_reader see {schema}._sync_cdc"), sql);
        }
    }

    fn publish(&mut self) {
        let cdc = self.site.name("_sync_cdc");
        let existing = self.existing;
        if !existing.published {
            let sql = match existing.publication {
                Some(_) => format!("alter publication auth0_sync add table {cdc}"),
                None => format!("create publication auth0_sync for table {cdc} with (publish = 'insert')"),
            };
            self.change(format!("publish inserts into {}._sync_cdc", self.site.schema), sql);
        }
        if existing.publication.is_some_and(|publication| !publication.inserts_only) {
            let sql = "alter publication auth0_sync set (publish = 'insert')".to_owned();
            self.change("publish inserts alone".to_owned(), sql);
        }
    }

    fn function(&mut self, function: &ddl::Function) {
        let body = function.sql.split("$body$").nth(1).unwrap_or_default();
        let access = self.access(function);
        if self.existing.functions.get(&function.name).map(String::as_str) == Some(body) {
            let open = self.existing.open_functions.contains(&function.name);
            if open && function.access != ddl::Access::Readers {
                self.closed.push(access);
            }
            return;
        }
        let mut sql = format!("{};", function.sql.trim_end().trim_end_matches(';'));
        sql.push_str(&access);
        self.change(format!("define function {}.{}", self.site.schema, function.name), sql);
    }

    /// The statements that give a function to those who may call it.
    fn access(&self, function: &ddl::Function) -> String {
        let name = self.site.name(&function.name);
        let reader = ident(&format!("{}_reader", self.site.schema));
        let writer = ident(&format!("{}_writer", self.site.schema));
        // Whoever may call one that is nobody's could put it behind a table of their own, and write with
        // the service's rights.
        let revoke = format!("revoke execute on routine {name} from public");
        match function.access {
            ddl::Access::Nobody => revoke,
            ddl::Access::Readers => format!("grant execute on routine {name} to {reader}"),
            ddl::Access::Writers => format!("{revoke};\ngrant execute on routine {name} to {writer}"),
        }
    }

    fn trigger(&mut self, trigger: &ddl::Trigger) {
        // The trigger's comment holds a digest of its definition; pg_get_triggerdef words it differently
        // from version to version.
        let digest = mark(&trigger.sql);
        let key = (trigger.table.clone(), trigger.name.clone());
        let there = self.existing.triggers.get(&key);
        if there.and_then(Option::as_deref) == Some(digest.as_str()) {
            return;
        }
        let table = self.site.name(&trigger.table);
        let name = ident(&trigger.name);
        let mut sql = String::new();
        if there.is_some() {
            sql = format!("drop trigger {name} on {table};\n");
        }
        sql.push_str(&format!(
            "{};\ncomment on trigger {name} on {table} is {}",
            trigger.sql,
            literal(&digest)
        ));
        self.change(
            format!("define trigger {} on {}.{}", trigger.name, self.site.schema, trigger.table),
            sql,
        );
    }
}

/// How the comment of an object that setup made begins, where nobody reads it: a trigger's, a rule's.
const MARK: &str = "auth0-sync ";

/// Such a comment, which tells one definition from another.
fn mark(definition: &str) -> String {
    format!("{MARK}{}", digest(definition))
}

/// Applies a plan in one transaction, with the tenant's entry; then what runs alone.
///
/// # Errors
/// The first statement that fails, by name; nothing is changed then, unless it is one that runs alone: the
/// next plan has it again.
pub async fn apply(connection: &mut PgConnection, goal: &Goal<'_>, changes: &[Change]) -> Result<()> {
    let mut transaction = connection.begin().await.map_err(fault("cannot begin"))?;
    sqlx::query(
        "insert into _auth0_sync.tenant (schema, domain, selection) values ($1, $2, $3) \
         on conflict (schema) do update set domain = excluded.domain, selection = excluded.selection",
    )
    .bind(goal.schema)
    .bind(goal.domain)
    .bind(digest_of(goal.catalog))
    .execute(&mut *transaction)
    .await
    .map_err(fault("cannot enter the tenant"))?;
    for change in changes.iter().filter(|change| !change.alone) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(change.sql.clone()))
            .execute(&mut *transaction)
            .await
            .map_err(fault(&format!("cannot {}", change.what)))?;
    }
    transaction.commit().await.map_err(fault("cannot commit the schema"))?;
    for change in changes.iter().filter(|change| change.alone) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(change.sql.clone())).execute(&mut *connection).await.map_err(
            |error| {
                let what = format!("cannot {}; all the rest is done, run setup again for it", change.what);
                Error::with(Kind::Database, what, error)
            },
        )?;
    }
    Ok(())
}

fn same_type(there: &str, wanted: &str) -> bool {
    let long = match wanted {
        "timestamptz" => "timestamp with time zone",
        other => other,
    };
    there == long
}
