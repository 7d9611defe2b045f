//! The one apply function: puts a reading of Auth0 into a mirror row, if it still may.

use sqlx::AssertSqlSafe;

use super::bulk::Rows;
use super::bulk_sql::Statements;
use super::sweep::Change;
use super::{Context, sets};
use crate::catalog::{Catalog, Each, Resource, RowKey, Target};
use crate::error::{Kind, Result};
use crate::pg::mirror::{Locked, News, Row, Tick, Usable, has_gone_since, is_fresh, usable};
use crate::pg::{fault, has_unsettled, ident, qualified};

/// What became of a reading.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// The row's base is what was read; what follows from that has to be read too.
    Done(Vec<Target>),
    /// The row has something newer already.
    Stale,
    /// A mutation of the row is unsettled in a way that leaves no room: read again later.
    ReadAgain,
}

/// Applies what Auth0 has (`None`: no such row) under `key`, read from `began` on.
///
/// # Errors
/// `database_busy` where a client holds the row: read again later.
pub(super) async fn apply(
    context: &Context,
    resource: &Resource,
    key: &RowKey,
    row: Option<Row>,
    began: Tick,
) -> Result<Applied> {
    let mut locked = Locked::take(&context.database, &context.schema, resource, key).await?;
    if context.freshness.undecided().has(&resource.table, key) {
        return Ok(Applied::ReadAgain);
    }
    let base = locked.base();
    // With the lock held: a call that has settled before has set its mark.
    let fresh = is_fresh(&context.freshness, &context.catalog, resource, key, began);
    let first = locked.unsettled.first().map(|pending| pending.mutation.operation);
    if let Some(row) = &row
        && (!fresh && context.freshness.is_overtaken(resource, key, row) || locked.is_unclaimed(row).await?)
    {
        return Ok(Applied::ReadAgain);
    }
    let news = match usable(resource, row, base.as_ref(), first, fresh) {
        Usable::Now(news) => news,
        Usable::Never => return Ok(Applied::Stale),
        Usable::Later => return Ok(Applied::ReadAgain),
    };
    let gone = news == News::Absent;
    let rebased = locked.apply(news).await?;
    if gone {
        // Before it looks for them: what hangs on the row and is stored meanwhile sees the mark.
        context.freshness.gone(&resource.table, key);
        locked.remove_children(&context.catalog).await?;
        remove_listed_below(context, &mut locked, resource, key).await?;
    }
    // Before the lock is free: whoever has it next must see it.
    context.freshness.applied(&resource.table, key, began);
    locked.commit().await?;
    if !gone && has_gone_since(&context.freshness, &context.catalog, resource, key, began) {
        // It has been stored while what it hangs on went.
        return Ok(Applied::ReadAgain);
    }
    if let Some(differences) = &context.compare
        && let Some(change) = Change::between(base.as_ref(), rebased.base.as_ref())
    {
        differences.count(change, 1);
    }
    Ok(Applied::Done(following(&context.catalog, resource, key, base.as_ref(), rebased.base.as_ref())))
}

/// What is shown otherwise once a row has changed from `before` to `now`: lists that go by it.
pub(super) fn following(
    catalog: &Catalog,
    resource: &Resource,
    key: &RowKey,
    before: Option<&Row>,
    now: Option<&Row>,
) -> Vec<Target> {
    let value = |row: Option<&Row>, column: &str| row.and_then(|row| row.get(column)).cloned();
    let moved = |column: &str| value(before, column) != value(now, column);
    let (mut found, mut below) = (Vec::new(), false);
    for (other, list) in catalog.listed_by(&resource.table) {
        if list.parent.as_ref() == Some(&resource.table) && now.is_some() && sets::is_one_way(other) {
            let mut named = list.from.values().chain(list.only.keys());
            below |= before.is_none() || named.any(|column| moved(column));
        }
        let mut of = list.each.values().filter_map(|each| match each {
            Each::Of { table, column } if *table == resource.table => Some(column),
            _ => None,
        });
        if of.any(|column| moved(column)) {
            found.push(Target::Table { table: other.table.clone() });
        }
    }
    if below {
        found.push(Target::Below { table: resource.table.clone(), key: key.clone() });
    }
    found
}

/// Removes rows that are listed below this one and cannot be listed any more; those with unsettled
/// mutations wait for them.
async fn remove_listed_below(
    context: &Context,
    locked: &mut Locked<'_>,
    resource: &Resource,
    key: &RowKey,
) -> Result<()> {
    for child in context.catalog.iter().filter(|child| child.is_read() && !child.keeps_rows) {
        // Below one parent alone: what other lists show too has not gone.
        let below = context.catalog.only_listed_below(child);
        let Some((_, columns)) = below.filter(|(parent, _)| parent.table == resource.table) else { continue };
        let conditions =
            columns.iter().enumerate().map(|(n, name)| format!("t.{} = ${}", ident(name), n + 1));
        let delete = format!(
            "delete from {} t where {} and not {}",
            qualified(&context.schema, &child.table),
            conditions.collect::<Vec<_>>().join(" and "),
            has_unsettled(&context.schema, child, "t"),
        );
        let mut query = sqlx::query(AssertSqlSafe(delete));
        for part in &key.0 {
            query = query.bind(part);
        }
        query
            .execute(&mut *locked.transaction)
            .await
            .map_err(fault("cannot remove the rows below a deleted one"))?;
    }
    Ok(())
}

/// The same for one row of many; what follows, none where it has to be read again. A row that a
/// client holds does not keep the others waiting. While tables are compared, what differs is held
/// back.
///
/// # Errors
/// Database errors other than a row that a client holds.
pub(super) async fn apply_free(
    context: &Context,
    resource: &Resource,
    key: &RowKey,
    row: Option<Row>,
    began: Tick,
) -> Result<Option<Vec<Target>>> {
    let row = match (&context.compare, row) {
        (Some(differences), Some(row)) => {
            let rows = Rows::from([(key.clone(), row)]);
            let statements = Statements::whole(&context.schema, resource);
            match differences.hold_back(context, resource, &statements, rows, began).await?.pop() {
                Some((_, row)) => Some(row),
                None => return Ok(Some(Vec::new())),
            }
        }
        (Some(differences), None) if differences.hold_absent(key, began) => return Ok(Some(Vec::new())),
        (_, row) => row,
    };
    match apply(context, resource, key, row, began).await {
        Ok(Applied::Done(following)) => Ok(Some(following)),
        Ok(Applied::Stale) => Ok(Some(Vec::new())),
        Ok(Applied::ReadAgain) => Ok(None),
        Err(error) if error.kind() == Kind::DatabaseBusy => Ok(None),
        Err(error) => Err(error),
    }
}
