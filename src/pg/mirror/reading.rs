//! Whether a reading of Auth0 may be applied to a row, pure: by Auth0's own time of change where
//! both sides have one, else by the three rules of [`super::Freshness`].

use std::cmp::Ordering;

use super::version::version_order;
use super::{Freshness, News, Operation, Row, Tick};
use crate::catalog::{Resource, RowKey};

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

/// Whether the three rules let a reading of a row pass that began then, for the row and for those that
/// it hangs on: a row that went with its parent must not come back by an earlier reading of its own.
pub fn is_fresh(freshness: &Freshness, resource: &Resource, key: &RowKey, began: Tick) -> bool {
    let part = |column: &String| {
        let place = resource.key.iter().position(|own| own == column)?;
        key.0.get(place).cloned()
    };
    let referenced = resource.key.iter().filter_map(|column| {
        let parent = resource.columns.get(column)?.references.as_ref()?;
        Some((parent, RowKey::single(part(column)?)))
    });
    let depended = resource.depends.iter().filter_map(|(parent, columns)| {
        Some((parent, RowKey(columns.iter().map(part).collect::<Option<_>>()?)))
    });
    freshness.may_apply(&resource.table, key, began)
        && referenced.chain(depended).all(|(parent, key)| freshness.may_apply(parent, &key, began))
}
