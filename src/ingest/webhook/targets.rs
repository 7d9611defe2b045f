//! What a report of one of our Actions says to read again, pure: the catalogue knows which of its
//! fields name rows.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::catalog::{Catalog, Target};
use crate::ingest::hints::row_or_set;

/// Targets of one report; none where it is no report: its trigger is unknown.
pub(super) fn reported(catalog: &Catalog, report: &Value) -> Option<Vec<Target>> {
    let trigger = report.get("trigger").and_then(Value::as_str).filter(|trigger| !trigger.is_empty())?;
    let hints = catalog.iter().flat_map(|resource| resource.report.iter().map(move |hint| (resource, hint)));
    let found = hints.filter(|(_, hint)| hint.triggers.iter().any(|name| name == trigger));
    let found = found.filter_map(|(resource, hint)| {
        let value = |(column, field): (&String, &String)| {
            let text = report.get(field)?.as_str().filter(|text| !text.is_empty())?;
            Some((column.clone(), Value::from(text)))
        };
        let values: Map<String, Value> = hint.key.iter().filter_map(value).collect();
        row_or_set(catalog, resource, &values)
    });
    let mut met = HashSet::new();
    Some(found.filter(|target| met.insert(target.clone())).collect())
}

/// Targets of an event of Auth0's; none where it is no event: it has no type or no object.
pub(super) fn told(catalog: &Catalog, event: &Value) -> Option<Vec<Target>> {
    let name = event.get("type").and_then(Value::as_str)?;
    let object = event.pointer("/data/object").filter(|object| object.is_object())?;
    let telling = catalog.iter().filter_map(|resource| Some((resource, resource.event.as_ref()?)));
    let telling = telling.filter(|(_, event)| event.tells(name).is_some());
    let found = telling.filter_map(|(resource, event)| {
        let value = |(column, place): (&String, &String)| {
            let text = object.pointer(&format!("/{}", place.replace('.', "/")))?.as_str()?;
            Some((column.clone(), Value::from(text)))
        };
        let values: Map<String, Value> = event.key.iter().filter_map(value).collect();
        row_or_set(catalog, resource, &values)
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::RowKey;
    use serde_json::json;

    fn row(table: &str, key: &str) -> Target {
        Target::Row { table: table.into(), key: RowKey::single(key) }
    }

    fn found(report: Value) -> Option<Vec<Target>> {
        reported(&Catalog::bundled().unwrap(), &report)
    }

    #[test]
    fn a_login_names_the_user_the_session_and_the_tokens() {
        let below =
            |table: &str| Target::Set { table: table.into(), list: 0, parent: vec!["auth0|1".into()] };
        let login = json!({"trigger": "post-login", "user_id": "auth0|1", "session_id": "ses_1"});
        let mut targets = found(login).unwrap();
        targets.sort_by_key(|target| target.table().to_owned());
        assert_eq!(targets, [below("refresh_token"), row("session", "ses_1"), row("user", "auth0|1")]);
        let sign_up = json!({"trigger": "post-user-registration", "user_id": "auth0|1"});
        assert_eq!(found(sign_up).unwrap(), [row("user", "auth0|1")]);
    }

    #[test]
    fn an_event_names_the_row_that_it_tells_of() {
        let catalog = Catalog::bundled().unwrap();
        let event = |name: &str, object: Value| json!({"type": name, "data": {"object": object}});
        let user = event("user.updated", json!({"user_id": "auth0|1", "email": "a@b.c"}));
        assert_eq!(told(&catalog, &user), Some(vec![row("user", "auth0|1")]));
        let organization = event("organization.deleted", json!({"id": "org_1"}));
        assert_eq!(told(&catalog, &organization), Some(vec![row("organization", "org_1")]));
        assert_eq!(told(&catalog, &event("something.else", json!({"id": "x"}))), Some(vec![]));
        for wrong in [json!({"type": "user.updated"}), json!({"data": {"object": {}}}), json!([])] {
            assert_eq!(told(&catalog, &wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_names_nothing_asks_for_nothing() {
        assert_eq!(found(json!({"trigger": "post-login"})), Some(vec![]));
        assert_eq!(found(json!({"trigger": "post-login", "user_id": 7})), Some(vec![]));
        assert_eq!(found(json!({"trigger": "another", "user_id": "auth0|1"})), Some(vec![]));
        assert_eq!(found(json!({"user_id": "auth0|1"})), None);
        assert_eq!(found(json!("text")), None);
    }
}
