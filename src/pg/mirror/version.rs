//! Auth0's own time of the last change of a row, where the resource has one.

use std::cmp::Ordering;

use chrono::DateTime;

use super::Row;
use crate::catalog::Resource;

/// How the change time of `read` stands to that of `base`; none where one of them has none.
/// Auth0's times are compared with Auth0's alone.
pub fn version_order(resource: &Resource, read: Option<&Row>, base: Option<&Row>) -> Option<Ordering> {
    let column = resource.version.as_ref()?;
    // As times, not as text: fractions differ in length.
    let time = |row: Option<&Row>| DateTime::parse_from_rfc3339(row?.get(column)?.as_str()?).ok();
    Some(time(read)?.cmp(&time(base)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use serde_json::json;

    #[test]
    fn fractions_of_different_length_compare_as_times() {
        let catalog = Catalog::bundled().unwrap();
        let user = catalog.resource("user").unwrap();
        let row = |time: &str| json!({"updated_at": time}).as_object().cloned().unwrap();
        let order = |a: &str, b: &str| version_order(user, Some(&row(a)), Some(&row(b)));
        assert_eq!(
            order("2024-01-01T00:00:00.9+00:00", "2024-01-01T00:00:00.12+00:00"),
            Some(Ordering::Greater)
        );
        assert_eq!(order("2024-01-01T00:00:00+00:00", "2024-01-01T00:00:00.1+00:00"), Some(Ordering::Less));
        assert_eq!(version_order(user, Some(&row("2024-01-01T00:00:00Z")), None), None);
    }
}
