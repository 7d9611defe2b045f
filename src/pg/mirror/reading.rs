//! Whether a reading of Auth0 may be applied to a row, pure: by Auth0's own time of change where
//! both sides have one, else by the three rules of [`super::Freshness`].

use std::cmp::Ordering;

use super::version::version_order;
use super::{Freshness, News, Operation, Row, Tick};
use crate::catalog::{Catalog, Resource, RowKey};

/// What is to be done with a reading.
#[derive(Clone, Debug, PartialEq)]
pub enum Usable {
    /// It is applied.
    Now(News),
    /// The row has something newer already.
    Never,
    /// A mutation leaves no room for it, or it may be too old: read again.
    Later,
}

/// Judges what was read (`None`: no such row) against the row's `base`, the operation of its `first`
/// unsettled mutation, and whether the three rules let it pass (`fresh`). Ask with the row locked.
pub fn usable(
    resource: &Resource,
    read: Option<Row>,
    base: Option<&Row>,
    first: Option<Operation>,
    fresh: bool,
) -> Usable {
    match read {
        // Whether the insert made it or met somebody else's row is for its own answer to say.
        Some(_) if first == Some(Operation::Insert) => Usable::Later,
        Some(row) => match version_order(resource, Some(&row), base) {
            Some(Ordering::Less) => Usable::Never,
            Some(Ordering::Greater) => Usable::Now(News::Present(row)),
            Some(Ordering::Equal) | None if fresh => Usable::Now(News::Present(row)),
            Some(Ordering::Equal) | None => Usable::Later,
        },
        None if !fresh || first.is_some() => Usable::Later,
        None => Usable::Now(News::Absent),
    }
}

/// Whether the three rules let a reading of a row pass that began then, and nothing has gone since
/// by which the row went: it must not come back by an earlier reading of its own.
pub fn is_fresh(
    freshness: &Freshness,
    catalog: &Catalog,
    resource: &Resource,
    key: &RowKey,
    began: Tick,
) -> bool {
    freshness.may_apply(&resource.table, key, began)
        && !has_gone_since(freshness, catalog, resource, key, began)
}

/// Whether the row has gone since then, by itself or with one that it hangs on. Ask again when what was
/// read has been committed: who removes it may not have seen it.
pub fn has_gone_since(
    freshness: &Freshness,
    catalog: &Catalog,
    resource: &Resource,
    key: &RowKey,
    began: Tick,
) -> bool {
    let part = |column: &&str| {
        let place = resource.key.iter().position(|own| own == column)?;
        key.0.get(place).cloned()
    };
    freshness.remembers_gone()
        && (freshness.has_gone(&resource.table, key, began)
            || catalog.above(resource).any(|(parent, columns)| {
                let key = columns.iter().map(part).collect::<Option<_>>().map(RowKey);
                key.is_some_and(|key| freshness.has_gone(parent, &key, began))
            }))
}
