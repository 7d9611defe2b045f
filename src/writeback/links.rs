//! Links that Auth0 takes as a whole list only: the list is edited and sent again, and what others
//! have put there keeps its content and its order. Pure.

use serde_json::Value;

use super::request::Content;
use crate::catalog::{Replace, Resource, RowKey, fill_body};
use crate::pg::mirror::{Operation, Row};

/// What a mutation makes of a list.
#[derive(Debug, PartialEq)]
pub(super) enum Edited {
    /// The link to remove is not there.
    Gone,
    /// The link to change is not there.
    Absent,
    /// The list to send, and where the link stands in it, unless it was removed.
    List(Vec<Row>, Option<usize>),
}

/// The list after a mutation of one link; a link without a place of its own goes to the end.
pub(super) fn edit(resource: &Resource, replace: &Replace, mut list: Vec<Row>, content: &Content) -> Edited {
    let key = RowKey::of(resource, &content.key);
    let at = list.iter().position(|row| RowKey::of(resource, row) == key);
    let mut link = match (content.operation, at) {
        (Operation::Delete, None) => return Edited::Gone,
        (Operation::Delete, Some(at)) => {
            list.remove(at);
            return Edited::List(list, None);
        }
        (Operation::Update, None) => return Edited::Absent,
        (Operation::Insert, None) => content.key.clone(),
        (Operation::Insert | Operation::Update, Some(at)) => list.remove(at),
    };
    link.extend(content.after.clone());
    link.extend(content.write_only.clone());
    link.retain(|_, value| !value.is_null());
    let wanted = replace.order.as_ref().and_then(|column| content.after.get(column)).and_then(Value::as_i64);
    let place = match wanted {
        Some(wanted) => usize::try_from(wanted).unwrap_or(0),
        None => at.unwrap_or(list.len()),
    };
    let place = place.min(list.len());
    if let Some(column) = &replace.order {
        link.insert(column.clone(), Value::from(place));
    }
    list.insert(place, link);
    Edited::List(list, Some(place))
}

/// The body that carries a list.
pub(super) fn body(replace: &Replace, list: &[Row]) -> Value {
    let items = Value::Array(list.iter().filter_map(|row| fill_body(&replace.item, row)).collect());
    match &replace.array {
        Some(key) => Value::Object([(key.clone(), items)].into_iter().collect()),
        None => items,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;

    const BINDING: &str = r#"
        table = "binding"
        kind = "association"
        comment = "x"
        key = ["trigger_id", "action_id"]
        [set]
        method = "PATCH"
        path = "/triggers/{trigger_id}/bindings"
        scopes = []
        status = [200]
        array = "bindings"
        item = { ref = { type = "action_id", value = "{action_id}" }, display_name = "{display_name}" }
        order = "position"
        [columns.trigger_id]
        type = "text"
        class = "create_only"
        comment = "x"
        [columns.action_id]
        type = "text"
        class = "create_only"
        comment = "x"
        [columns.position]
        type = "bigint"
        class = "writable"
        comment = "x"
        [columns.display_name]
        type = "text"
        class = "writable"
        comment = "x"
    "#;

    fn row(value: Value) -> Row {
        value.as_object().cloned().unwrap()
    }

    fn edited(operation: Operation, action: &str, after: Value) -> (Vec<String>, Value) {
        let catalog = Catalog::from_files([("t/binding.toml", BINDING)]).unwrap();
        let resource = catalog.resource("binding").unwrap();
        let replace = resource.replace.as_ref().unwrap();
        let there = ["a", "b"].map(|id| row(json!({"trigger_id": "t", "action_id": id, "display_name": id})));
        let content = Content {
            operation,
            key: row(json!({"trigger_id": "t", "action_id": action})),
            before: Row::new(),
            after: row(after),
            write_only: Row::new(),
        };
        match edit(resource, replace, there.to_vec(), &content) {
            Edited::List(list, place) => {
                let order = list.iter().map(|row| row["action_id"].as_str().unwrap().to_owned()).collect();
                let mine = place.map_or(Value::Null, |place| list[place]["position"].clone());
                assert_eq!(mine.as_u64(), place.map(|place| place as u64));
                (order, body(replace, &list))
            }
            other => (vec![format!("{other:?}")], Value::Null),
        }
    }

    #[test]
    fn a_link_goes_to_its_place_or_to_the_end_and_others_keep_theirs() {
        let (order, body) = edited(Operation::Insert, "c", json!({"display_name": "new", "position": null}));
        assert_eq!(order, ["a", "b", "c"]);
        let item =
            |id: &str, name: &str| json!({"ref": {"type": "action_id", "value": id}, "display_name": name});
        assert_eq!(body, json!({"bindings": [item("a", "a"), item("b", "b"), item("c", "new")]}));
        assert_eq!(edited(Operation::Insert, "c", json!({"position": 0})).0, ["c", "a", "b"]);
        assert_eq!(edited(Operation::Insert, "c", json!({"position": 99})).0, ["a", "b", "c"]);
        assert_eq!(edited(Operation::Update, "a", json!({"position": 1})).0, ["b", "a"]);
        assert_eq!(edited(Operation::Update, "a", json!({"display_name": "x"})).0, ["a", "b"]);
        assert_eq!(edited(Operation::Insert, "a", json!({"position": null})).0, ["a", "b"], "there already");
    }

    #[test]
    fn what_is_not_there_is_neither_removed_nor_changed() {
        assert_eq!(edited(Operation::Delete, "a", json!({})).0, ["b"]);
        assert_eq!(edited(Operation::Delete, "c", json!({})).0, ["Gone"]);
        assert_eq!(edited(Operation::Update, "c", json!({"position": 0})).0, ["Absent"]);
    }
}
