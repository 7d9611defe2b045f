//! Updates that Auth0 takes in several calls only, because some columns never go together. Pure.

use serde_json::Value;

use super::request::Content;
use crate::auth0::Refusal;
use crate::catalog::Resource;
use crate::pg::mirror::{Operation, Row};

/// The calls that a change takes, in their order: one, unless an update touches several groups of
/// columns that go apart. What is in no group goes with the first.
pub(super) fn split(resource: &Resource, content: &Content) -> Vec<Content> {
    let group =
        |column: &str| resource.apart.iter().position(|group| group.iter().any(|name| name == column));
    let with_all = |column: &str| resource.apart_with.iter().any(|name| name == column);
    let touched = content.after.keys().chain(content.write_only.keys());
    let mut groups: Vec<usize> = touched.filter_map(|column| group(column)).collect();
    groups.sort_unstable();
    groups.dedup();
    let (Some(first), true) = (groups.first().copied(), content.operation == Operation::Update) else {
        return vec![content.clone()];
    };
    let part = |wanted: usize| {
        only(content, |column| with_all(column) || group(column).map_or(wanted == first, |own| own == wanted))
    };
    groups.into_iter().map(part).collect()
}

/// The update that puts back what one of these calls has changed; none where it changed nothing that
/// can be put back.
pub(super) fn undo(resource: &Resource, part: &Content) -> Option<Content> {
    let mut undo = part.clone();
    std::mem::swap(&mut undo.before, &mut undo.after);
    undo.write_only.retain(|column, _| resource.apart_with.iter().any(|name| name == column));
    (!undo.after.is_empty()).then_some(undo)
}

/// The refusal of a later part, where what Auth0 had taken of an earlier one cannot be put back.
pub(super) fn left_behind(refusal: Refusal, part: &Content, why: &Refusal) -> Refusal {
    let columns: Vec<&str> = part.after.keys().map(String::as_str).collect();
    let message = format!(
        "{}; Auth0 had taken {} before, and refused to take it back: {why}",
        refusal.message,
        columns.join(", ")
    );
    Refusal { message, ..refusal }
}

fn only(content: &Content, wanted: impl Fn(&str) -> bool) -> Content {
    let kept = |row: &Row| -> Row {
        row.iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, value)| (name.clone(), Value::clone(value)))
            .collect()
    };
    Content {
        operation: content.operation,
        key: content.key.clone(),
        after: kept(&content.after),
        before: kept(&content.before),
        write_only: kept(&content.write_only),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;

    fn object(value: Value) -> Row {
        value.as_object().cloned().unwrap()
    }

    fn update(before: Value, after: Value, write_only: Value) -> Content {
        Content {
            operation: Operation::Update,
            key: object(json!({"user_id": "auth0|a"})),
            before: object(before),
            after: object(after),
            write_only: object(write_only),
        }
    }

    #[test]
    fn what_auth0_forbids_together_goes_apart_and_secrets_go_last() {
        let catalog = Catalog::bundled().unwrap();
        let user = catalog.resource("user").unwrap();
        let before = json!({"nickname": "n", "email": "old@a.b", "email_verified": true, "username": "old"});
        let after = json!({"nickname": "m", "email": "new@a.b", "email_verified": false, "username": "new"});
        let secrets = json!({"password": "p", "connection": "db", "verify_email": false});
        let parts = split(user, &update(before, after, secrets));
        let shown: Vec<_> = parts.iter().map(|part| (json!(part.after), json!(part.write_only))).collect();
        assert_eq!(
            shown,
            [
                (
                    json!({"nickname": "m", "email": "new@a.b", "email_verified": false}),
                    json!({"connection": "db", "verify_email": false})
                ),
                (json!({"username": "new"}), json!({"connection": "db"})),
                (json!({}), json!({"password": "p", "connection": "db"})),
            ]
        );
        let back: Vec<_> =
            parts.iter().filter_map(|part| undo(user, part)).map(|back| json!(back.after)).collect();
        assert_eq!(
            back,
            [
                json!({"nickname": "n", "email": "old@a.b", "email_verified": true}),
                json!({"username": "old"})
            ],
            "a password cannot be put back"
        );
        assert_eq!(json!(undo(user, &parts[0]).unwrap().write_only), json!({"connection": "db"}));
    }

    #[test]
    fn what_goes_together_is_one_call() {
        let catalog = Catalog::bundled().unwrap();
        let user = catalog.resource("user").unwrap();
        let one = update(json!({"nickname": "n"}), json!({"nickname": "m"}), json!({"password": "p"}));
        assert_eq!(split(user, &one).len(), 1);
        let plain = update(json!({"nickname": "n"}), json!({"nickname": "m"}), json!({"client_id": "c"}));
        assert_eq!(split(user, &plain).len(), 1);
    }
}
