//! The one apply function: puts a reading of Auth0 into a mirror row, if it still may.

use super::Context;
use crate::catalog::{Resource, RowKey};
use crate::error::Result;
use crate::pg::mirror::{Locked, News, Operation, Row, Tick};

/// What became of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The row's base is what was read.
    Done,
    /// The row has something newer already.
    Stale,
    /// A mutation of the row is unsettled in a way that leaves no room: read again later.
    ReadAgain,
}

/// Applies what Auth0 has (`None`: no such row) under `key`, read from `began` on.
///
/// # Errors
/// `database_busy` where a client holds the row: read again later.
pub async fn apply(
    context: &Context,
    resource: &Resource,
    key: &RowKey,
    row: Option<Row>,
    began: Tick,
) -> Result<Applied> {
    let mut locked = Locked::take(&context.database, &context.schema, resource, key).await?;
    let base = locked.base();
    // With the lock held: a call that has settled before has set its mark.
    let fresh = context.freshness.may_apply(&resource.table, key, began);
    let inserting = locked.unsettled.first().is_some_and(|p| p.mutation.operation == Operation::Insert);
    let news = match row {
        // Whether the insert made it or met somebody else's row is for its own answer to say.
        Some(_) if inserting => return Ok(Applied::ReadAgain),
        Some(row) => match order(resource, &row, base.as_ref()) {
            Some(std::cmp::Ordering::Less) => return Ok(Applied::Stale),
            Some(std::cmp::Ordering::Greater) => News::Present(row),
            Some(std::cmp::Ordering::Equal) | None if fresh => News::Present(row),
            Some(std::cmp::Ordering::Equal) | None => return Ok(Applied::ReadAgain),
        },
        None if !fresh || !locked.unsettled.is_empty() => return Ok(Applied::ReadAgain),
        None => News::Absent,
    };
    let gone = news == News::Absent;
    locked.apply(news).await?;
    if gone {
        locked.remove_children(&context.catalog).await?;
    }
    locked.commit().await?;
    context.freshness.applied(&resource.table, key, began);
    Ok(Applied::Done)
}

/// By Auth0's own time of change, where the resource has one and both sides carry it.
fn order(resource: &Resource, row: &Row, base: Option<&Row>) -> Option<std::cmp::Ordering> {
    let version = resource.version.as_ref()?;
    let read = row.get(version)?.as_str()?;
    let there = base?.get(version)?.as_str()?;
    compare_times(read, there)
}

/// Compares RFC 3339 texts of one zone whose fractions may have different lengths.
fn compare_times(a: &str, b: &str) -> Option<std::cmp::Ordering> {
    let parse = |text| chrono::DateTime::parse_from_rfc3339(text).ok();
    Some(parse(a)?.cmp(&parse(b)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    #[test]
    fn fractions_of_different_length_compare_as_times() {
        let compare = |a, b| compare_times(a, b).unwrap();
        assert_eq!(compare("2024-01-01T00:00:00.9+00:00", "2024-01-01T00:00:00.12+00:00"), Ordering::Greater);
        assert_eq!(compare("2024-01-01T00:00:00+00:00", "2024-01-01T00:00:00.1+00:00"), Ordering::Less);
    }
}
