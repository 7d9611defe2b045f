//! A list that ends at a cap is read in slices of a time column, each small enough to end by itself.

use chrono::{DateTime, SecondsFormat};

use super::Context;
use crate::auth0::{Lane, Request};
use crate::catalog::List;
use crate::error::{Error, Kind, Result};

/// A part of a list: the rows whose time lies between two moments, both included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    column: String,
    /// Milliseconds since 1970, as fine as Auth0's times are; none: from the beginning.
    low: Option<i64>,
    /// None: without end.
    high: Option<i64>,
}

/// The times of a list's oldest and newest row, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    oldest: i64,
    newest: i64,
}

impl Slice {
    /// The whole list, in one slice; none where the list cannot be sliced.
    pub(super) fn whole(list: &List) -> Option<Slice> {
        Some(Slice { column: list.slice_by.clone()?, low: None, high: None })
    }

    /// The query parameter `q` of this slice; none for the whole list.
    pub(super) fn query(&self) -> Option<String> {
        let bound = |moment: Option<i64>| {
            let time = moment.and_then(DateTime::from_timestamp_millis);
            time.map_or("*".to_owned(), |time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
        };
        (self.low.is_some() || self.high.is_some())
            .then(|| format!("{}:[{} TO {}]", self.column, bound(self.low), bound(self.high)))
    }

    /// Two halves that have all rows of this one; none where it is one millisecond already.
    pub(super) fn halves(&self, span: Span) -> Option<[Slice; 2]> {
        let (low, high) = (self.low.unwrap_or(span.oldest), self.high.unwrap_or(span.newest));
        if low >= high {
            return None;
        }
        let middle = low + (high - low) / 2;
        let slice = |low, high| Slice { column: self.column.clone(), low, high };
        Some([slice(self.low, Some(middle)), slice(Some(middle + 1), self.high)])
    }
}

impl Span {
    /// Asks Auth0 for the oldest and the newest row.
    ///
    /// # Errors
    /// Of Auth0; `auth0_answer` where the column holds no time.
    pub(super) async fn read(context: &Context, list: &List, column: &str, lane: Lane) -> Result<Span> {
        let moment = async |order: &str| {
            let request = Request::get(list.path.clone(), lane)
                .query("sort", format!("{column}:{order}"))
                .query("per_page", "1")
                .query("page", "0");
            let body = context.auth0.read(&request).await?.body;
            let time = body.pointer(&format!("/0/{column}")).and_then(serde_json::Value::as_str);
            let time = time.and_then(|time| DateTime::parse_from_rfc3339(time).ok());
            time.map(|time| time.timestamp_millis()).ok_or_else(|| {
                Error::new(Kind::Auth0Answer, format!("GET {}: no time in {column}", list.path))
            })
        };
        Ok(Span { oldest: moment("1").await?, newest: moment("-1").await? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_cover_every_millisecond_once_and_stay_open_at_the_ends() {
        let span = Span { oldest: 1_000, newest: 1_005 };
        let whole = Slice { column: "created_at".into(), low: None, high: None };
        assert_eq!(whole.query(), None);
        let (mut todo, mut ends) = (vec![whole], Vec::new());
        while let Some(slice) = todo.pop() {
            match slice.halves(span) {
                Some(halves) => todo.extend(halves),
                None => ends.push((slice.low, slice.high)),
            }
        }
        ends.sort_unstable();
        let inner = (1_001..1_005).map(|n| (Some(n), Some(n)));
        let all: Vec<_> =
            [(None, Some(1_000))].into_iter().chain(inner).chain([(Some(1_005), None)]).collect();
        assert_eq!(ends, all);
    }

    #[test]
    fn a_slice_is_a_range_of_the_search_syntax() {
        let slice = Slice { column: "created_at".into(), low: Some(0), high: None };
        assert_eq!(slice.query().unwrap(), "created_at:[1970-01-01T00:00:00.000Z TO *]");
    }
}
