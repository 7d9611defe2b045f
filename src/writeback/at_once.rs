//! A change of one row that comes while nothing else is about is claimed where it would be loaded: one way to the
//! server less before its call leaves. What it could depend on is looked for by the claim itself; where
//! there is anything, it is loaded like all others.

use serde_json::Value;

use super::claims::content;
use super::desk::{Beside, Desk};
use super::lanes::{Queued, Work};
use super::late;
use super::request::Content;
use super::room::Ahead;
use super::worker::Context;
use crate::catalog::{Catalog, ResourceKind};
use crate::error::Result;
use crate::ledger::Token;
use crate::pg::mirror::Operation;

/// A mutation that is ours before it was queued.
pub(super) struct AtOnce {
    pub(super) id: i64,
    /// What its call is made of, with the request id.
    pub(super) claimed: (Content, String),
}

/// How work begins.
pub(super) struct Begin {
    /// Its place in line for a call.
    pub(super) ahead: Ahead,
    /// What it is, where it is claimed already.
    pub(super) at_once: Option<AtOnce>,
}

impl AtOnce {
    /// Whether this work is its.
    pub(super) fn is_of(&self, work: &Work) -> bool {
        work.ids == [self.id]
    }
}

/// Claims what is wanted next and puts it into its lane, where it comes alone; none where it is to be loaded.
///
/// # Errors
/// Database errors; it may be claimed then, and loading it shows that.
pub(super) async fn claim(
    context: &Context,
    desk: &mut Desk,
    now: tokio::time::Instant,
) -> Result<Option<AtOnce>> {
    let Some((id, commit)) = desk.alone(now).filter(|_| context.room.has_place()) else { return Ok(None) };
    let request_id = context.correlation();
    let Some(claimed) = context.store.claim_alone(id, &request_id).await? else { return Ok(None) };
    let table = &claimed.table;
    let content = content(context.catalog.resource(table)?, std::slice::from_ref(&claimed));
    let queued = content.as_ref().and_then(|content| queued(&context.catalog, id, table, content, commit));
    let (Some(queued), Some(content)) = (queued, content) else {
        context.store.put_back(&[id]).await?;
        return Ok(None);
    };
    desk.loaded(vec![queued], 2, Beside::default(), now);
    Ok(Some(AtOnce { id, claimed: (content, request_id) }))
}

/// The change as it is queued; none of one that is not sent like others, or that names a row whose key may become
/// another. Pure.
pub(super) fn queued(
    catalog: &Catalog,
    id: i64,
    table: &str,
    content: &Content,
    commit: Token,
) -> Option<Queued> {
    let resource = catalog.get(table)?;
    if matches!(resource.kind, ResourceKind::Command | ResourceKind::Watch) {
        return None;
    }
    let after = Value::Object(content.after.clone());
    late::with_lasting_keys(catalog, resource, (id, commit), Operation::Update, &content.key, &after)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::RowKey;
    use crate::ledger::Ledger;
    use crate::pg::mirror::Row;

    #[test]
    fn what_names_a_row_by_a_provisional_key_and_what_is_no_change_of_a_row_is_loaded() {
        let catalog = Catalog::bundled().unwrap();
        let commit = Ledger::default().received(1);
        let row = |value: Value| value.as_object().cloned().unwrap();
        let queued = |table: &str, key: Value, after: Value| {
            let (key, after) = (row(key), row(after));
            let content = Content {
                operation: Operation::Update,
                key,
                before: Row::new(),
                after,
                write_only: Row::new(),
            };
            queued(&catalog, 1, table, &content, commit).map(|queued| queued.node)
        };
        let user = ("user".to_owned(), RowKey::single("auth0|a"));
        assert_eq!(queued("user", json!({"user_id": "auth0|a"}), json!({"nickname": "b"})), Some(user));
        assert_eq!(queued("role", json!({"id": "new_1"}), json!({"name": "r"})), None);
        assert_eq!(queued("no_such", json!({"id": "1"}), json!({})), None);
        let grant =
            |client: &str| queued("client_grant", json!({"id": "cgr_1"}), json!({"client_id": client}));
        assert!(grant("a").is_some() && grant("new_1").is_none());
        let command = catalog.iter().find(|resource| resource.kind == ResourceKind::Command).unwrap();
        let key: Row = command.key.iter().map(|name| (name.clone(), json!("1"))).collect();
        assert_eq!(queued(&command.table, Value::Object(key), json!({})), None);
    }
}
