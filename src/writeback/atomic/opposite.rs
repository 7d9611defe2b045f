//! What takes a mutation of a failed transaction back, and what that means for its row. Pure.

use serde_json::{Map, Value};

use crate::catalog::{NewKey, Resource, ResourceKind, RowKey};
use crate::pg::mirror::{News, Operation, PROVISIONAL, Row, Unsettled};
use crate::writeback::request::Content;
use crate::writeback::strict::back;

/// A mutation that Auth0 has.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    /// `_sync_cdc.id`.
    pub(super) id: i64,
    /// What it did.
    pub(super) operation: Operation,
    /// Its row.
    pub(super) key: RowKey,
    /// What lay under it.
    pub(super) before: Row,
    /// What it wrote.
    pub(super) after: Row,
}

/// How to take it back.
#[derive(Clone, Debug)]
pub(super) enum Opposite {
    /// By this call.
    Call(Box<Content>),
    /// Auth0 has heard nothing of it.
    Silent,
    /// Nobody can name the row at Auth0.
    Nameless,
}

impl Applied {
    /// `base` is what its client had written on: what Auth0 told of the change itself, before it answered it, is not
    /// what was there before.
    pub(super) fn new(
        id: i64,
        operation: Operation,
        key: RowKey,
        mut before: Row,
        after: Row,
        base: Option<&Row>,
    ) -> Applied {
        if operation == Operation::Update {
            for (name, value) in &mut before {
                let told_early = after.get(name) == Some(value);
                if let Some(was) = base.and_then(|base| base.get(name)).filter(|_| told_early) {
                    value.clone_from(was);
                }
            }
        }
        Applied { id, operation, key, before, after }
    }

    /// The mutation as its client wrote it.
    pub(super) fn as_written(&self) -> Unsettled {
        Unsettled {
            id: self.id,
            operation: self.operation,
            before: Some(self.before.clone()).filter(|_| self.operation != Operation::Insert),
            after: Some(self.after.clone()).filter(|_| self.operation != Operation::Delete),
        }
    }

    /// The call that takes it back.
    pub(super) fn opposite(&self, resource: &Resource) -> Opposite {
        if resource.kind == ResourceKind::Watch {
            return Opposite::Silent;
        }
        let made = self.key.0.last().is_some_and(|made| !made.starts_with(PROVISIONAL));
        if resource.new_key == NewKey::Server && !made {
            return Opposite::Nameless;
        }
        let change = Content {
            operation: self.operation,
            key: self.key.to_json(resource),
            before: self.before.clone(),
            after: self.after.clone(),
            write_only: Map::new(),
        };
        let target = Some(&self.before).filter(|_| self.operation != Operation::Insert);
        back(resource, &change, &self.key, target)
            .map_or(Opposite::Silent, |call| Opposite::Call(Box::new(call)))
    }

    /// What is known of the row when it has been taken back, with the mutation that the rule is to see first;
    /// `answer` is the row as Auth0 told it then.
    pub(super) fn news(&self, answer: Option<Row>) -> (Option<Unsettled>, News) {
        let (operation, before, after) = match self.operation {
            Operation::Insert => return (None, News::Absent),
            Operation::Update => (Operation::Update, Some(self.after.clone()), self.before.clone()),
            // Columns that users added come back with the row.
            Operation::Delete => (Operation::Insert, None, self.before.clone()),
        };
        let mutation = Unsettled { id: self.id, operation, before, after: Some(after) };
        (Some(mutation), News::Applied { ids: vec![self.id], answer })
    }

    /// The same where Auth0 does not have the row of an update any more.
    pub(super) fn gone(&self) -> (Option<Unsettled>, News) {
        (None, News::Absent)
    }
}

/// The images of a mutation as they stand in the table.
pub(super) fn image(value: Option<Value>) -> Row {
    match value {
        Some(Value::Object(image)) => image,
        _ => Row::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;
    use crate::pg::mirror::rebase;

    fn row(value: Value) -> Row {
        value.as_object().cloned().unwrap()
    }

    fn applied(operation: Operation, key: &[&str], before: Value, after: Value) -> Applied {
        let key = RowKey(key.iter().map(|part| (*part).to_owned()).collect());
        Applied::new(9, operation, key, row(before), row(after), None)
    }

    fn call(table: &str, applied: &Applied) -> Option<(Operation, Value)> {
        let catalog = Catalog::bundled().unwrap();
        match applied.opposite(catalog.resource(table).unwrap()) {
            Opposite::Call(call) => Some((call.operation, json!(call.after))),
            Opposite::Silent | Opposite::Nameless => None,
        }
    }

    #[test]
    fn what_was_written_gets_its_value_back_and_what_was_made_goes() {
        let update = applied(
            Operation::Update,
            &["auth0|a"],
            json!({"nickname": "old", "app_metadata": {"a": 1, "new": null}}),
            json!({"nickname": "new", "app_metadata": {"a": 2, "new": 3}}),
        );
        let back = json!({"nickname": "old", "app_metadata": {"a": 1, "new": null}});
        assert_eq!(call("user", &update), Some((Operation::Update, back)));
        let insert = applied(Operation::Insert, &["org_1"], json!({}), json!({"name": "o"}));
        assert_eq!(call("organization", &insert), Some((Operation::Delete, json!({}))));
        let nameless = applied(Operation::Insert, &["new_1"], json!({}), json!({"name": "o"}));
        assert_eq!(call("organization", &nameless), None);
        let link = json!({"organization_id": "org_1", "user_id": "auth0|a"});
        let delete = applied(Operation::Delete, &["org_1", "auth0|a"], link.clone(), json!({}));
        assert_eq!(call("organization_member", &delete), Some((Operation::Insert, link)));
    }

    #[test]
    fn what_auth0_told_of_the_change_itself_is_not_what_was_there() {
        let told = json!({"nickname": "new", "name": "theirs"});
        let after = json!({"nickname": "new", "name": "mine"});
        let base = row(json!({"nickname": "old", "name": "before"}));
        let key = RowKey::single("auth0|a");
        let applied = Applied::new(9, Operation::Update, key, row(told), row(after), Some(&base));
        assert_eq!(json!(applied.before), json!({"nickname": "old", "name": "theirs"}));
    }

    #[test]
    fn the_row_is_as_before_under_what_others_have_written_since() {
        let catalog = Catalog::bundled().unwrap();
        let resource = catalog.resource("user").unwrap();
        let update =
            applied(Operation::Update, &["auth0|a"], json!({"nickname": "old"}), json!({"nickname": "new"}));
        let later = Unsettled {
            id: 12,
            operation: Operation::Update,
            before: Some(row(json!({"nickname": "new", "name": "n"}))),
            after: Some(row(json!({"nickname": "later", "name": "m"}))),
        };
        let visible = row(json!({"user_id": "auth0|a", "nickname": "later", "name": "m"}));
        for answer in [None, Some(row(json!({"user_id": "auth0|a", "nickname": "old", "name": "n"})))] {
            let (first, news) = update.news(answer);
            let unsettled = [first.unwrap(), later.clone()];
            let rebased = rebase(resource, Some(&visible), &unsettled, news);
            assert_eq!(rebased.visible.as_ref(), Some(&visible), "what is later stays on top");
            assert_eq!(rebased.befores, [(12, row(json!({"nickname": "old", "name": "n"})))]);
        }
        let insert = applied(Operation::Insert, &["auth0|a"], json!({}), json!({"nickname": "new"}));
        let rebased = rebase(resource, Some(&visible), &[later], insert.news(None).1);
        assert_eq!((rebased.visible, rebased.cancelled), (None, vec![12]));
    }
}
