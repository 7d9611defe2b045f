//! Many rows at once: one statement where nothing differs, one for what is new, one for what has
//! changed. Rows that a client has touched or holds go through `apply`, one by one.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, Postgres, Row as _, Transaction};

use super::Context;
use super::apply::{apply_free, following};
use super::bulk_follow::Follow;
use super::bulk_sql::Statements;
use super::sweep::Change;
use crate::catalog::{Resource, RowKey, Target};
use crate::error::{Kind, Result};
use crate::pg::mirror::{Row, Tick, has_gone_since, is_fresh, lock_names, lock_table};
use crate::pg::{fault, selected_key};

/// For more rows than this the lock of the table is taken: locks of rows are few.
const LOCKS: usize = 200;

/// What became of many rows.
#[derive(Default)]
pub(super) struct Stored {
    /// Keys of new rows.
    pub(super) inserted: Vec<RowKey>,
    /// Keys of rows that were there and differed.
    pub(super) updated: Vec<RowKey>,
    /// How many rows were there as they are, or newer.
    pub(super) unchanged: usize,
    /// Keys that have to be read again.
    pub(super) again: Vec<RowKey>,
    /// What has to be read because of these rows.
    pub(super) following: Vec<Target>,
}

impl Stored {
    /// Takes what became of others.
    pub(super) fn join(&mut self, other: Stored) {
        self.inserted.extend(other.inserted);
        self.updated.extend(other.updated);
        self.unchanged += other.unchanged;
        self.again.extend(other.again);
        self.following.extend(other.following);
    }
}

/// What the look says of a row that differs from the mirror's, or may.
#[derive(Clone, Copy)]
pub(super) struct Difference {
    /// The mirror has a row.
    known: bool,
    /// The mirror's is newer by Auth0's time.
    pub(super) newer: bool,
    /// A client has touched it, or our own create may have made it.
    touched: bool,
    /// The mirror has no such row, or another.
    pub(super) differs: bool,
}

/// Rows by key, in the order in which they were read.
pub(super) type Rows = IndexMap<RowKey, Row>;

/// Stores a page of whole rows read from `began` on.
///
/// # Errors
/// Database errors other than a row that a client holds.
pub(super) async fn store(
    context: &Context,
    resource: &Resource,
    rows: Vec<(RowKey, Row)>,
    began: Tick,
) -> Result<Stored> {
    merge(context, resource, &Statements::whole(&context.schema, resource), rows, began).await
}

/// The same for rows of which only the columns of the statements are known.
pub(super) async fn merge(
    context: &Context,
    resource: &Resource,
    statements: &Statements,
    rows: Vec<(RowKey, Row)>,
    began: Tick,
) -> Result<Stored> {
    let mut stored = Stored::default();
    if rows.is_empty() {
        return Ok(stored);
    }
    // The same row twice: the list has moved under the reading, and the later one is the newer.
    let rows: Rows = rows.into_iter().collect();
    let rows = match &context.compare {
        Some(differences) => differences.hold_back(context, resource, statements, rows, began).await?,
        None => rows,
    };
    context.freshness.applied_all(&resource.table, rows.keys(), began);
    let fresh = |key: &RowKey| is_fresh(&context.freshness, &context.catalog, resource, key, began);
    let differences = look(context, resource, statements, &rows).await?;
    stored.unchanged = rows.len() - differences.len();
    let (mut new, mut changed, mut single) = (Rows::new(), Rows::new(), Rows::new());
    for (key, row) in rows {
        match differences.get(&key) {
            None => {}
            Some(difference) if difference.newer && !difference.touched => stored.unchanged += 1,
            Some(difference) => {
                let free = !difference.touched && fresh(&key);
                let kind = match (free, difference.known) {
                    (false, _) => &mut single,
                    (true, false) => &mut new,
                    (true, true) => &mut changed,
                };
                kind.insert(key, row);
            }
        }
    }
    let follow = Follow::of(&context.catalog, resource);
    let inserted = or_none(insert(context, resource, statements, &new, began).await)?;
    for (key, row) in new {
        if inserted.contains(&key) {
            if follow.any {
                stored.following.extend(following(&context.catalog, resource, &key, None, Some(&row)));
            }
            stored.inserted.push(key);
        } else {
            single.insert(key, row);
        }
    }
    let updated = or_none(update(context, resource, statements, &follow, &changed, began).await)?;
    for (key, row) in changed {
        match updated.get(&key) {
            Some(before) => {
                if let Some(before) = before {
                    let now: Row =
                        row.into_iter().filter(|(name, _)| follow.columns.contains(name)).collect();
                    let moved = following(&context.catalog, resource, &key, Some(before), Some(&now));
                    stored.following.extend(moved);
                }
                stored.updated.push(key);
            }
            None => drop(single.insert(key, row)),
        }
    }
    if let Some(differences) = &context.compare {
        differences.count(Change::Inserted, stored.inserted.len());
        differences.count(Change::Updated, stored.updated.len());
    }
    // What is known in part only must not go over the rest of the row: it is read by key.
    for (key, row) in single {
        if !statements.is_whole() {
            stored.again.push(key);
            continue;
        }
        match apply_free(context, resource, &key, Some(row), began).await? {
            Some(following) => stored.following.extend(following),
            None => stored.again.push(key),
        }
    }
    // Stored while what they hang on went.
    let gone = |key: &&RowKey| has_gone_since(&context.freshness, &context.catalog, resource, key, began);
    stored.again.extend(stored.inserted.iter().filter(gone).cloned());
    Ok(stored)
}

/// Adds those rows of a page that the mirror does not have; rows that never change.
///
/// # Errors
/// Database errors.
pub(super) async fn add(
    context: &Context,
    resource: &Resource,
    rows: Vec<(RowKey, Row)>,
    began: Tick,
) -> Result<()> {
    let statements = Statements::whole(&context.schema, resource);
    insert(context, resource, &statements, &rows.into_iter().collect(), began).await.map(drop)
}

/// Nothing where one of the rows is held: one by one, the others go through.
fn or_none<T: Default>(done: Result<T>) -> Result<T> {
    match done {
        Err(error) if error.kind() == Kind::DatabaseBusy => Ok(T::default()),
        done => done,
    }
}

/// Compares rows with the mirror's, without a lock; what is the same and untouched is not in the answer.
///
/// # Errors
/// Database errors.
pub(super) async fn look(
    context: &Context,
    resource: &Resource,
    statements: &Statements,
    rows: &Rows,
) -> Result<HashMap<RowKey, Difference>> {
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let found = sqlx::query(AssertSqlSafe(statements.look.clone()))
        .bind(Json(rows.values().collect::<Vec<_>>()))
        .fetch_all(&context.database.pool)
        .await
        .map_err(fault("cannot compare a page of rows"))?;
    let first = resource.key.len();
    let difference = |row: &sqlx::postgres::PgRow| Difference {
        known: row.get(first),
        newer: row.get(first + 1),
        touched: row.get(first + 2),
        differs: row.get(first + 3),
    };
    Ok(found.iter().map(|row| (selected_key(resource, row), difference(row))).collect())
}

async fn lock(
    transaction: &mut Transaction<'static, Postgres>,
    context: &Context,
    resource: &Resource,
    rows: &Rows,
) -> Result<()> {
    if rows.len() > LOCKS {
        return lock_table(transaction, &context.schema, resource).await;
    }
    let keys: Vec<_> = rows.keys().cloned().collect();
    lock_names(transaction, &context.schema, resource, &keys).await
}

async fn insert(
    context: &Context,
    resource: &Resource,
    statements: &Statements,
    rows: &Rows,
    began: Tick,
) -> Result<HashSet<RowKey>> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let mut transaction = context.database.pool.begin().await.map_err(fault("cannot begin"))?;
    // A reading of one of these rows that finds it gone must not pass between look and commit.
    lock(&mut transaction, context, resource, rows).await?;
    let inserted = sqlx::query(AssertSqlSafe(statements.insert.clone()))
        .bind(Json(rows.values().collect::<Vec<_>>()))
        .fetch_all(&mut *transaction)
        .await
        .map_err(fault("cannot store a page of rows"))?;
    let mut stored: HashSet<RowKey> = inserted.iter().map(|row| selected_key(resource, row)).collect();
    // A client's delete may have been committed while the insert waited for it: look in a new snapshot.
    let undone = sqlx::query(AssertSqlSafe(statements.undo.clone()))
        .bind(Json(stored.iter().map(|key| key.to_json(resource)).collect::<Vec<_>>()))
        .fetch_all(&mut *transaction)
        .await
        .map_err(fault("cannot look again"))?;
    for row in undone {
        stored.remove(&selected_key(resource, &row));
    }
    // The rows are locked now; a settlement that came before has set its mark.
    let fresh = |key: &RowKey| is_fresh(&context.freshness, &context.catalog, resource, key, began);
    if !stored.iter().all(fresh) {
        return Ok(HashSet::new());
    }
    transaction.commit().await.map_err(fault("cannot commit a page of rows"))?;
    Ok(stored)
}

/// Updates rows that nobody holds and no client has touched; of each, what it had in the columns that others
/// are listed by, where there are any.
async fn update(
    context: &Context,
    resource: &Resource,
    statements: &Statements,
    follow: &Follow,
    rows: &Rows,
    began: Tick,
) -> Result<HashMap<RowKey, Option<Row>>> {
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let mut transaction = context.database.pool.begin().await.map_err(fault("cannot begin"))?;
    lock(&mut transaction, context, resource, rows).await?;
    let names: Vec<_> = rows.keys().map(|key| key.to_json(resource)).collect();
    let held = sqlx::query(AssertSqlSafe(statements.hold(follow)))
        .bind(Json(names))
        .fetch_all(&mut *transaction)
        .await
        .map_err(fault("cannot lock a page of rows"))?;
    let befores: HashMap<RowKey, Option<Json<Row>>> =
        held.iter().map(|row| (selected_key(resource, row), row.get(resource.key.len()))).collect();
    let fresh = |key: &RowKey| is_fresh(&context.freshness, &context.catalog, resource, key, began);
    let free = |key: &RowKey| befores.contains_key(key) && fresh(key);
    let allowed: Vec<_> = rows.iter().filter(|(key, _)| free(key)).map(|(_, row)| row).collect();
    // In a new snapshot: what a client has committed before the locks is seen.
    let updated = sqlx::query(AssertSqlSafe(statements.update.clone()))
        .bind(Json(allowed))
        .fetch_all(&mut *transaction)
        .await
        .map_err(fault("cannot update a page of rows"))?;
    transaction.commit().await.map_err(fault("cannot commit a page of rows"))?;
    let mut befores = befores;
    let before = |key: RowKey| {
        let before = befores.remove(&key).flatten().map(|Json(row)| row);
        (key, before)
    };
    Ok(updated.iter().map(|row| selected_key(resource, row)).map(before).collect())
}
