//! What setup changes in the database: the difference between what the catalogue wants and what
//! is there. Making it reads only; applying it is one transaction. Changes only add.

mod existing;
mod roles;

use sqlx::{Connection, PgConnection};

pub use existing::Existing;
pub use roles::Roles;

use super::ddl::{self, Site};
use super::fault;
use super::ident::{ident, literal};
use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};

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
    sqlx::migrate!("./migrations")
        .run(&mut *connection)
        .await
        .map_err(|error| Error::with(Kind::Database, "cannot bring schema _auth0_sync up to date", error))?;
    sqlx::raw_sql("reset search_path")
        .execute(connection)
        .await
        .map_err(fault("cannot reset search_path"))?;
    Ok(())
}

/// What has to change so that `schema` mirrors the catalogue; nothing if it does.
///
/// # Errors
/// `setup_conflict`, naming the object of somebody else that stands in the way.
pub fn plan(catalog: &Catalog, schema: &str, role: &str, existing: &Existing) -> Result<Vec<Change>> {
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
                     insert into _auth0_sync.mirror (schema, \"table\") values ({}, {}) on conflict do nothing;\n\
                     insert into _auth0_sync.backfill (schema, \"table\", state) values ({3}, {4}, 'waiting') \
                     on conflict do nothing",
                    list.join(", "),
                    key.join(", "),
                    literal(&ddl::table_comment(resource)),
                    literal(schema),
                    literal(table),
                );
                change(format!("create table {schema}.{table} ({} columns)", columns.len()), sql);
            }
            Some(_) if !existing.ours.contains(table) => {
                let what = format!("{schema}.{table} exists, and auth0-sync did not make it");
                return Err(Error::new(Kind::SetupConflict, what));
            }
            Some(there) => {
                for column in &columns {
                    match there.get(&column.name).map(|c| c.sql_type.as_str()) {
                        None => change(
                            format!("add column {} to {schema}.{table}", column.name),
                            format!(
                                "alter table {name} add column {} {}",
                                ident(&column.name),
                                column.sql_type
                            ),
                        ),
                        Some(sql_type) if !same_type(sql_type, column.sql_type) => {
                            let what = format!(
                                "column {} of {schema}.{table} is {sql_type}, not {}",
                                column.name, column.sql_type
                            );
                            return Err(Error::new(Kind::SetupConflict, what));
                        }
                        Some(_) => {}
                    }
                }
            }
        }
        for column in &columns {
            let there = existing.columns.get(table).and_then(|columns| columns.get(&column.name));
            if there.and_then(|c| c.comment.as_deref()) != Some(column.comment.as_str()) {
                change(
                    format!("comment on column {schema}.{table}.{}", column.name),
                    format!(
                        "comment on column {name}.{} is {}",
                        ident(&column.name),
                        literal(&column.comment)
                    ),
                );
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
        if existing.can_write.get(table) != Some(&true) {
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
    if !existing.published {
        let cdc = site.name("_sync_cdc");
        let sql = if existing.has_publication {
            format!("alter publication auth0_sync add table {cdc}")
        } else {
            format!("create publication auth0_sync for table {cdc} with (publish = 'insert')")
        };
        change(format!("publish inserts into {schema}._sync_cdc"), sql);
    }
    Ok(changes)
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
        let writer = ident(&format!("{}_reader", site.schema));
        format!("grant execute on function {} to {writer}", site.name(&function.name))
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
    let digest = format!("auth0-sync {}", existing::digest(&trigger.sql));
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
