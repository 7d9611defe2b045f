//! What an event's payload is worth against the row that the mirror has, pure.

use std::cmp::Ordering;

use chrono::{DateTime, Timelike};
use serde_json::{Map, Value};

use crate::catalog::{Events, Resource, RowKey};
use crate::pg::mirror::{Row, row_from_auth0, version_order};

/// What to do with a payload that is a reading.
#[derive(Debug, PartialEq)]
pub(super) enum Judged {
    /// It is newer: the row is this.
    Newer(Row),
    /// The mirror has it, or something newer.
    Known,
    /// Its time does not decide: the row has to be read.
    Hint,
}

/// The key that an event's object names.
pub(super) fn key(resource: &Resource, events: &Events, object: &Value) -> Option<RowKey> {
    let part = |column: &String| {
        let place = events.key.get(column)?;
        place.split('.').try_fold(object, |value, name| value.get(name))?.as_str().map(str::to_owned)
    };
    resource.key.iter().map(part).collect::<Option<Vec<_>>>().map(RowKey)
}

/// The columns that an event's object shows, as the mirror shows them; none where one has no fitting value.
pub(super) fn shown(resource: &Resource, events: &Events, object: &Value) -> Option<Row> {
    let known = events.shows.iter().filter(|name| resource.columns.contains_key(*name));
    let fields = known.filter_map(|name| {
        let field = resource.field(name);
        Some((field.to_owned(), object.get(field)?.clone()))
    });
    let row = row_from_auth0(resource, &fields.collect::<Map<_, _>>(), |_| None);
    (!row.contains_key("extra")).then_some(row)
}

/// Judges a payload that shows all of its columns as they are. Auth0's time of change decides, and
/// nothing else: without one in the mirror the event may be about a row that is gone.
pub(super) fn judge(resource: &Resource, events: &Events, base: Option<&Row>, shown: &Row) -> Judged {
    let Some(base) = base else { return Judged::Hint };
    let mut merged = base.clone();
    for column in events.shows.iter().filter(|name| resource.columns.contains_key(*name)) {
        match shown.get(column) {
            Some(value) => drop(merged.insert(column.clone(), value.clone())),
            None => drop(merged.remove(column)),
        }
    }
    match version_order(resource, Some(shown), Some(base)) {
        _ if merged == *base => Judged::Known,
        Some(Ordering::Greater) => Judged::Newer(merged),
        // Whole seconds may be a time that was cut.
        Some(Ordering::Less) if !is_cut(resource, shown, base) => Judged::Known,
        _ => Judged::Hint,
    }
}

/// Whether a time without a fraction is of the same second as the mirror's.
fn is_cut(resource: &Resource, shown: &Row, base: &Row) -> bool {
    let time = |row: &Row| {
        let text = row.get(resource.version.as_deref()?)?.as_str()?;
        DateTime::parse_from_rfc3339(text).ok()
    };
    match (time(shown), time(base)) {
        (Some(shown), Some(base)) => shown.nanosecond() == 0 && shown.timestamp() == base.timestamp(),
        _ => false,
    }
}

/// Whether the mirror has every column that a hint shows, and it shows one.
pub(super) fn agrees(base: Option<&Row>, shown: &Row, key: &[String]) -> bool {
    let mut columns = shown.iter().filter(|(name, _)| !key.contains(name)).peekable();
    columns.peek().is_some()
        && columns.all(|(name, value)| base.and_then(|base| base.get(name)) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use serde_json::json;

    fn judged(base: Option<Value>, object: Value) -> Judged {
        let catalog = Catalog::bundled().unwrap();
        let resource = catalog.resource("user").unwrap();
        let events = resource.event.as_ref().unwrap();
        let base = base.map(|base| base.as_object().unwrap().clone());
        judge(resource, events, base.as_ref(), &shown(resource, events, &object).unwrap())
    }

    fn base(time: &str) -> Option<Value> {
        Some(
            json!({"user_id": "u", "name": "old", "nickname": "n", "last_password_reset": "x", "updated_at": time}),
        )
    }

    #[test]
    fn a_newer_payload_replaces_what_it_shows_and_leaves_the_rest() {
        let event = json!({"user_id": "u", "name": "new", "updated_at": "2026-01-01T00:00:02.500Z"});
        let Judged::Newer(row) = judged(base("2026-01-01T00:00:01+00:00"), event) else { panic!() };
        assert_eq!(
            Value::Object(row),
            json!({"user_id": "u", "name": "new", "last_password_reset": "x", "updated_at": "2026-01-01T00:00:02.5+00:00"})
        );
    }

    #[test]
    fn an_older_one_is_known_and_one_of_the_same_time_is_read_unless_it_says_the_same() {
        let event = |name: &str| json!({"user_id": "u", "name": name, "nickname": "n", "updated_at": "2026-01-01T00:00:02.500Z"});
        assert_eq!(judged(base("2026-01-01T00:00:03+00:00"), event("new")), Judged::Known);
        assert_eq!(judged(base("2026-01-01T00:00:02.5+00:00"), event("old")), Judged::Known);
        assert_eq!(judged(base("2026-01-01T00:00:02.5+00:00"), event("new")), Judged::Hint);
        assert_eq!(judged(None, event("new")), Judged::Hint, "the row may be gone");
    }

    #[test]
    fn a_time_that_was_cut_to_seconds_is_no_proof_of_age() {
        let event = json!({"user_id": "u", "name": "new", "updated_at": "2026-01-01T00:00:02Z"});
        assert_eq!(judged(base("2026-01-01T00:00:02.5+00:00"), event.clone()), Judged::Hint);
        assert_eq!(judged(base("2026-01-01T00:00:03.5+00:00"), event), Judged::Known);
    }

    #[test]
    fn a_value_that_does_not_fit_makes_the_payload_no_reading() {
        let catalog = Catalog::bundled().unwrap();
        let resource = catalog.resource("user").unwrap();
        let events = resource.event.as_ref().unwrap();
        assert_eq!(shown(resource, events, &json!({"logins_count": "many"})), None);
    }

    #[test]
    fn keys_are_found_where_the_catalogue_says() {
        let catalog = Catalog::bundled().unwrap();
        let resource = catalog.resource("organization_member").unwrap();
        let object = json!({"organization": {"id": "org_1"}, "user": {"user_id": "u"}});
        let found = key(resource, resource.event.as_ref().unwrap(), &object);
        assert_eq!(found, Some(RowKey(vec!["org_1".into(), "u".into()])));
        assert_eq!(key(resource, resource.event.as_ref().unwrap(), &json!({})), None);
    }
}
