//! What imports keep in the database: which mutations have gone together, under which request, and the job.

use std::collections::HashMap;

use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;

use crate::catalog::{Bulk, Catalog, Resource};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::{Operation, PROVISIONAL};
use crate::pg::{fault, ident, qualified};
use crate::writeback::request::{Content, join};
use crate::writeback::store::Store;

/// A file that has been, or is about to be, sent.
#[derive(Clone, Debug)]
pub(super) struct Import {
    /// The service's own name of it.
    pub(super) request: String,
    /// The job, where Auth0 has told it.
    pub(super) job: Option<String>,
    /// An answer was lost: what Auth0 has may be ours.
    pub(super) doubtful: bool,
}

/// What unsettled inserts are made of, by their ids; without those that are not there any more.
///
/// # Errors
/// Database errors.
pub(super) async fn contents(
    store: &Store,
    resource: &Resource,
    ids: &[i64],
) -> Result<HashMap<i64, Content>> {
    let sql = format!(
        "select id, key, after from {} where id = any ($1) and settled_at is null and operation = 'INSERT'",
        qualified(&store.schema, "_sync_cdc")
    );
    let rows: Vec<(i64, Value, Option<Value>)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(ids)
        .fetch_all(&store.database.pool)
        .await
        .map_err(fault("cannot read new rows"))?;
    let aside: Vec<(i64, String, Value)> = sqlx::query_as(include_str!("sql/write_only.sql"))
        .bind(&store.schema)
        .bind(ids)
        .fetch_all(&store.database.pool)
        .await
        .map_err(fault("cannot read write-only values"))?;
    let mut write_only: HashMap<i64, Vec<Map<String, Value>>> = HashMap::new();
    for (id, column, value) in aside {
        write_only.entry(id).or_default().push(Map::from_iter([(column, value)]));
    }
    let object = |value: Option<Value>| match value {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    };
    let content = |(id, key, after): (i64, Value, Option<Value>)| {
        let content = Content {
            operation: Operation::Insert,
            key: object(Some(key)),
            after: object(after),
            before: Map::new(),
            write_only: join(resource, write_only.remove(&id).unwrap_or_default()),
        };
        (id, content)
    };
    Ok(rows.into_iter().map(content).collect())
}

/// The key of the row that rows of a file belong to; none where there is none that an import goes into.
///
/// # Errors
/// Database errors.
pub(super) async fn home(
    store: &Store,
    catalog: &Catalog,
    bulk: &Bulk,
    value: &str,
) -> Result<Option<String>> {
    let Some(resource) = catalog.get(&bulk.home.table) else { return Ok(None) };
    let Some(key) = resource.key.last() else { return Ok(None) };
    let only: String = bulk
        .home
        .only
        .keys()
        .enumerate()
        .map(|(n, column)| format!(" and {} = ${}", ident(column), n + 2))
        .collect();
    let sql = format!(
        "select {} from {} where {} = $1{only}",
        ident(key),
        qualified(&store.schema, &resource.table),
        ident(&bulk.home.by)
    );
    let mut query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(value);
    for text in bulk.home.only.values() {
        query = query.bind(text);
    }
    let found: Option<String> = query
        .fetch_optional(&store.database.pool)
        .await
        .map_err(fault("cannot look where new rows belong"))?;
    Ok(found.filter(|key| !key.starts_with(PROVISIONAL)))
}

/// Notes, before anything is sent, that these mutations go together.
///
/// # Errors
/// `internal` where one of them is not pending any more; then nothing is noted.
pub(super) async fn begin(store: &Store, table: &str, request: &str, ids: &[i64]) -> Result<()> {
    let failed = || fault("cannot note an import");
    let mut transaction = store.database.pool.begin().await.map_err(failed())?;
    let claim = format!(
        "update {} set state = 'sending', attempts = attempts + 1, request_id = $2 \
         where id = any ($1) and state = 'pending'",
        qualified(&store.schema, "_sync_cdc")
    );
    let claimed = sqlx::query(AssertSqlSafe(claim))
        .bind(ids)
        .bind(request)
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
    if claimed.rows_affected() != ids.len() as u64 {
        return Err(Error::new(Kind::Internal, "mutations to import are owned by somebody else"));
    }
    sqlx::query(include_str!("sql/begin.sql"))
        .bind(&store.schema)
        .bind(request)
        .bind(table)
        .bind(i64::try_from(ids.len()).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
    transaction.commit().await.map_err(failed())
}

/// An import that has begun, and how many rows its file has.
///
/// # Errors
/// Database errors.
pub(super) async fn begun(store: &Store, request: &str) -> Result<Option<Import>> {
    let found: Option<(Option<String>, bool)> = sqlx::query_as(include_str!("sql/begun.sql"))
        .bind(&store.schema)
        .bind(request)
        .fetch_optional(&store.database.pool)
        .await
        .map_err(fault("cannot read how far an import has got"))?;
    Ok(found.map(|(job, doubtful)| Import { request: request.to_owned(), job, doubtful }))
}

/// Notes the job of an import, or that an answer was lost.
///
/// # Errors
/// Database errors.
pub(super) async fn note(store: &Store, import: &Import) -> Result<()> {
    sqlx::query(include_str!("sql/note.sql"))
        .bind(&store.schema)
        .bind(&import.request)
        .bind(&import.job)
        .bind(import.doubtful)
        .execute(&store.database.pool)
        .await
        .map_err(fault("cannot note how far an import has got"))?;
    Ok(())
}

/// Forgets an import: its mutations are settled, or go on by themselves.
///
/// # Errors
/// Database errors.
pub(super) async fn forget(store: &Store, import: &Import) -> Result<()> {
    sqlx::query(include_str!("sql/forget.sql"))
        .bind(&store.schema)
        .bind(&import.request)
        .execute(&store.database.pool)
        .await
        .map_err(fault("cannot forget an import"))?;
    Ok(())
}
