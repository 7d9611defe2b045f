//! What setup changes in the database: the difference between what the catalogue wants and what
//! is there. Making it reads only; applying it is one transaction. Changes only add.

mod conflict;
mod existing;
mod roles;

use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};

pub use conflict::{Conflict, conflicts};
use existing::digest;
pub use existing::{Existing, ExistingPublication};
pub use roles::Roles;

use super::ddl::{self, Site};
use super::fault;
use super::ident::{ident, literal};
use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// One change: a sentence for people and the statements that make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// For example `create table auth0.user (28 columns)`.
    pub what: String,
    /// One or more statements.
    pub sql: String,
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

/// What has to change so that `schema` mirrors the catalogue; nothing if it does. Look at
/// [`conflicts`] first: a plan knows nothing of other people's objects.
pub fn plan(catalog: &Catalog, schema: &str, role: &str, existing: &Existing) -> Vec<Change> {
    let site = Site { schema, role };
    let mut changes = Vec::new();
    let mut change = |what: String, sql: String| changes.push(Change { what, sql });
    if !existing.has_schema {
        change(format!("create schema {schema}"), format!("create schema {}", ident(schema)));
    }
    if !existing.has_bookkeeping {
        change(format!("create table {schema}._sync_cdc"), ddl::bookkeeping(&site));
    }
    for function in ddl::functions(&site) {
        function_change(&site, existing, &function, &mut change);
    }
    for resource in catalog.iter() {
        let table = &resource.table;
        let name = site.name(table);
        let columns = ddl::columns(resource);
        match existing.columns.get(table) {
            None => {
                let list: Vec<_> =
                    columns.iter().map(|c| format!("{} {}", ident(&c.name), c.sql_type)).collect();
                let key: Vec<_> = resource.key.iter().map(|column| ident(column)).collect();
                let sql = format!(
                    "create table {name} ({}, primary key ({}));\ncomment on table {name} is {};\n\
                     insert into _auth0_sync.mirror (schema, \"table\") values ({}, {}) on conflict do nothing;\n{}",
                    list.join(", "),
                    key.join(", "),
                    literal(&ddl::table_comment(resource)),
                    literal(schema),
                    literal(table),
                    fill_again(schema, table),
                );
                let comments = columns.iter().map(|column| comment_on(&name, column));
                let sql = comments.fold(sql, |sql, comment| format!("{sql};\n{comment}"));
                change(format!("create table {schema}.{table} ({} columns)", columns.len()), sql);
            }
            Some(there) => {
                for column in &columns {
                    let what = format!("{schema}.{table}.{}", column.name);
                    match there.get(&column.name) {
                        // What Auth0 has in it comes with the next filling.
                        None => {
                            let sql = format!(
                                "alter table {name} add column {} {};\n{};\n{}",
                                ident(&column.name),
                                column.sql_type,
                                comment_on(&name, column),
                                fill_again(schema, table)
                            );
                            change(format!("add column {what}"), sql);
                        }
                        Some(actual) if actual.comment.as_deref() != Some(column.comment.as_str()) => {
                            change(format!("comment on column {what}"), comment_on(&name, column));
                        }
                        Some(_) => {}
                    }
                }
            }
        }
        let (judge, mut triggers) = ddl::judge(&site, resource);
        function_change(&site, existing, &judge, &mut change);
        let (capture, capturing) = ddl::capture(&site, resource);
        function_change(&site, existing, &capture, &mut change);
        triggers.extend(capturing);
        triggers.extend(ddl::refusals(&site, resource));
        for trigger in &triggers {
            trigger_change(&site, existing, trigger, &mut change);
        }
        if existing.granted.get(table) != Some(&true) {
            let reader = ident(&format!("{schema}_reader"));
            let writer = ident(&format!("{schema}_writer"));
            change(
                format!("grant on {schema}.{table}"),
                format!(
                    "grant select on {name} to {reader}; grant select, insert, update, delete on {name} to {writer}"
                ),
            );
        }
    }
    grant_schema(&site, existing, &mut change);
    if !existing.named {
        // The replication connection cannot say it itself, and synchronous_standby_names goes by it.
        let sql = format!("alter role {} set application_name = 'auth0-sync'", ident(role));
        change(format!("call the sessions of {role} auth0-sync"), sql);
    }
    publish(&site, existing, &mut change);
    changes
}

fn grant_schema(site: &Site<'_>, existing: &Existing, change: &mut impl FnMut(String, String)) {
    let schema = site.schema;
    let reader = ident(&format!("{schema}_reader"));
    if !existing.reader_enters {
        let sql = format!("grant usage on schema {} to {reader}", ident(schema));
        change(format!("let {schema}_reader use schema {schema}"), sql);
    }
    if !existing.reader_sees_cdc {
        let sql = format!("grant select on {} to {reader}", site.name("_sync_cdc"));
        change(format!("let {schema}_reader see {schema}._sync_cdc"), sql);
    }
}

fn publish(site: &Site<'_>, existing: &Existing, change: &mut impl FnMut(String, String)) {
    let cdc = site.name("_sync_cdc");
    if !existing.published {
        let sql = match existing.publication {
            Some(_) => format!("alter publication auth0_sync add table {cdc}"),
            None => format!("create publication auth0_sync for table {cdc} with (publish = 'insert')"),
        };
        change(format!("publish inserts into {}._sync_cdc", site.schema), sql);
    }
    if existing.publication.is_some_and(|publication| !publication.inserts_only) {
        let sql = "alter publication auth0_sync set (publish = 'insert')".to_owned();
        change("publish inserts alone".to_owned(), sql);
    }
}

fn comment_on(table: &str, column: &ddl::ColumnDef) -> String {
    format!("comment on column {table}.{} is {}", ident(&column.name), literal(&column.comment))
}

/// Puts a table into the queue of the backfill, whether it has been filled before or not.
fn fill_again(schema: &str, table: &str) -> String {
    format!(
        "insert into _auth0_sync.backfill (schema, \"table\", state) values ({}, {}, 'waiting') \
         on conflict (schema, \"table\") do update set state = 'waiting', error = null, finished_at = null",
        literal(schema),
        literal(table)
    )
}

/// Applies a plan in one transaction, with the tenant's entry.
///
/// # Errors
/// The first statement that fails, by name; nothing is changed then.
pub async fn apply(
    connection: &mut PgConnection,
    schema: &str,
    domain: &str,
    changes: &[Change],
) -> Result<()> {
    let mut transaction = connection.begin().await.map_err(fault("cannot begin"))?;
    sqlx::query(
        "insert into _auth0_sync.tenant (schema, domain) values ($1, $2) \
         on conflict (schema) do update set domain = excluded.domain",
    )
    .bind(schema)
    .bind(domain)
    .execute(&mut *transaction)
    .await
    .map_err(fault("cannot enter the tenant"))?;
    for change in changes {
        sqlx::raw_sql(sqlx::AssertSqlSafe(change.sql.clone()))
            .execute(&mut *transaction)
            .await
            .map_err(fault(&format!("cannot {}", change.what)))?;
    }
    transaction.commit().await.map_err(fault("cannot commit the schema"))
}

fn function_change(
    site: &Site<'_>,
    existing: &Existing,
    function: &ddl::Function,
    change: &mut impl FnMut(String, String),
) {
    let body = function.sql.split("$body$").nth(1).unwrap_or_default();
    if existing.functions.get(&function.name).map(String::as_str) == Some(body) {
        return;
    }
    let mut sql = format!("{};", function.sql.trim_end().trim_end_matches(';'));
    let signature = if function.public {
        let reader = ident(&format!("{}_reader", site.schema));
        format!("grant execute on function {} to {reader}", site.name(&function.name))
    } else {
        String::new()
    };
    if function.public {
        sql.push_str(&signature);
    }
    change(format!("define function {}.{}", site.schema, function.name), sql);
}

fn trigger_change(
    site: &Site<'_>,
    existing: &Existing,
    trigger: &ddl::Trigger,
    change: &mut impl FnMut(String, String),
) {
    // The trigger's comment holds a digest of its definition; pg_get_triggerdef words it differently
    // from version to version.
    let digest = format!("auth0-sync {}", digest(&trigger.sql));
    let key = (trigger.table.clone(), trigger.name.clone());
    if existing.triggers.get(&key).and_then(Option::as_deref) == Some(digest.as_str()) {
        return;
    }
    let table = site.name(&trigger.table);
    let sql = format!(
        "drop trigger if exists {0} on {table};\n{1};\ncomment on trigger {0} on {table} is {2}",
        ident(&trigger.name),
        trigger.sql,
        literal(&digest)
    );
    change(format!("define trigger {} on {}.{}", trigger.name, site.schema, trigger.table), sql);
}

fn same_type(there: &str, wanted: &str) -> bool {
    let long = match wanted {
        "timestamptz" => "timestamp with time zone",
        other => other,
    };
    there == long
}
