//! What the stream has of a commit, and which of its mutations may leave before they can be seen. Pure.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::catalog::{Catalog, Resource, ResourceKind};
use crate::ledger::Token;
use crate::pg::mirror::Operation;
use crate::wal::Tuple;
use crate::writeback::lanes::Queued;
use crate::writeback::late;
use crate::writeback::request::{Content, join};

/// A commit that the stream has told, besides its ids.
#[derive(Clone, Debug)]
pub struct Rows {
    xid: u32,
    of: Of,
    sealed: Option<Bytes>,
}

#[derive(Clone, Debug)]
enum Of {
    /// They are not held.
    Nobody,
    Stream(Arc<[Tuple]>),
    /// An earlier process has claimed them.
    Claims,
}

/// A mutation that cannot be seen yet.
#[derive(Clone)]
pub(in crate::writeback) struct Unseen {
    /// Its transaction's xid8 as text.
    pub(in crate::writeback) txid: Arc<str>,
    /// Its table.
    pub(in crate::writeback) table: Arc<str>,
    /// What is to be sent.
    pub(in crate::writeback) content: Arc<Content>,
    /// Its write-only values among those of its transaction, sealed.
    pub(in crate::writeback) sealed: Option<Bytes>,
}

/// A row of `_sync_cdc` as the stream or a claim has it.
#[derive(Clone, Debug)]
pub(in crate::writeback) struct Told {
    pub(in crate::writeback) id: i64,
    pub(in crate::writeback) txid: String,
    pub(in crate::writeback) table: String,
    pub(in crate::writeback) operation: String,
    pub(in crate::writeback) key: Value,
    pub(in crate::writeback) before: Option<Value>,
    pub(in crate::writeback) after: Option<Value>,
    /// It is to be sent: neither held nor settled.
    pub(in crate::writeback) is_pending: bool,
    /// Its client has asked for something beyond the change.
    pub(in crate::writeback) has_options: bool,
    /// Write-only values of its transaction, sealed.
    pub(in crate::writeback) sealed: Option<Bytes>,
    /// Its own of them by column, in their order, once they are opened.
    pub(in crate::writeback) values: Vec<(String, Value)>,
}

impl Rows {
    /// Of a transaction with the low half of this txid; its rows, where they are held, and what stands beside
    /// them, sealed.
    pub fn new(xid: u32, rows: Option<Vec<Tuple>>, sealed: Option<Bytes>) -> Rows {
        Rows { xid, of: rows.map_or(Of::Nobody, |rows| Of::Stream(rows.into())), sealed }
    }

    /// Of a transaction that an earlier process has claimed.
    pub(in crate::writeback) fn claimed(xid: u32) -> Rows {
        Rows { xid, of: Of::Claims, sealed: None }
    }

    /// Without the rows; claims stay where they are.
    pub(in crate::writeback) fn forgotten(self) -> Rows {
        let of = if matches!(self.of, Of::Claims) { Of::Claims } else { Of::Nobody };
        Rows { of, sealed: None, ..self }
    }

    /// The low half of the txid.
    pub(in crate::writeback) fn xid(&self) -> u32 {
        self.xid
    }

    /// Whether an earlier process has claimed it.
    pub(in crate::writeback) fn is_claimed(&self) -> bool {
        matches!(self.of, Of::Claims)
    }

    /// What the stream has; none where it is not held, or not whole.
    pub(in crate::writeback) fn told(&self) -> Option<Vec<Told>> {
        match &self.of {
            Of::Stream(rows) => {
                rows.iter().map(|row| Some(Told { sealed: self.sealed.clone(), ..Told::of(row)? })).collect()
            }
            Of::Nobody | Of::Claims => None,
        }
    }

    #[cfg(test)]
    pub(in crate::writeback) fn has_any(&self) -> bool {
        !matches!(self.of, Of::Nobody)
    }
}

impl Told {
    fn of(row: &Tuple) -> Option<Told> {
        let json = |column: &str| row.text(column).map(serde_json::from_str::<Value>).transpose().ok();
        Some(Told {
            id: row.text("id")?.parse().ok()?,
            txid: row.text("txid")?.to_owned(),
            table: row.text("table")?.to_owned(),
            operation: row.text("operation")?.to_owned(),
            key: json("key")??,
            before: json("before")?,
            after: json("after")?,
            is_pending: row.text("state")? == "pending",
            has_options: row.text("options").is_some(),
            sealed: None,
            values: Vec::new(),
        })
    }

    /// Takes its own of the values of its transaction; false where they are none.
    pub(in crate::writeback) fn open(&mut self, values: &Value) -> bool {
        let Some(values) = values.as_array() else { return false };
        let own = values.iter().filter(|value| value["id"].as_i64() == Some(self.id));
        let own = own.map(|value| Some((value["column"].as_str()?.to_owned(), value["value"].clone())));
        match own.collect() {
            Some(own) => {
                self.values = own;
                true
            }
            None => false,
        }
    }

    fn unseen(self, resource: &Resource) -> Option<Unseen> {
        let image = |image: Option<Value>| match image {
            Some(Value::Object(image)) => image,
            _ => Map::new(),
        };
        let content = Content {
            operation: Operation::parse(&self.operation)?,
            key: image(Some(self.key)),
            before: image(self.before),
            after: image(self.after),
            write_only: join(
                resource,
                self.values.into_iter().map(|(column, value)| Map::from_iter([(column, value)])),
            ),
        };
        let sealed = self.sealed.filter(|_| !content.write_only.is_empty());
        Some(Unseen { txid: self.txid.into(), table: self.table.into(), content: Arc::new(content), sealed })
    }
}

/// What of a commit goes into lanes before it can be seen; none where it has to be seen first: where
/// clients have asked for more than the change, or a key is not Auth0's yet.
pub(in crate::writeback) fn queue(catalog: &Catalog, told: Vec<Told>, commit: Token) -> Option<Vec<Queued>> {
    let pending = told.into_iter().filter(|told| told.is_pending);
    pending.map(|told| queued(catalog, told, commit)).collect()
}

fn queued(catalog: &Catalog, told: Told, commit: Token) -> Option<Queued> {
    if told.has_options {
        return None;
    }
    let resource = catalog.get(&told.table).filter(|resource| resource.kind != ResourceKind::Watch)?;
    let operation = Operation::parse(&told.operation)?;
    let image = told.after.as_ref().or(told.before.as_ref()).unwrap_or(&Value::Null);
    let key = told.key.as_object()?;
    let mut queued = late::with_lasting_keys(catalog, resource, (told.id, commit), operation, key, image)?;
    queued.terms.unseen = Some(told.unseen(resource)?);
    Some(queued)
}

impl Unseen {
    /// What lay under it; none of an INSERT.
    pub(super) fn before(&self) -> Option<Value> {
        let content = &self.content;
        (content.operation != Operation::Insert).then(|| Value::Object(content.before.clone()))
    }

    /// What it writes; none of a DELETE.
    pub(super) fn after(&self) -> Option<Value> {
        let content = &self.content;
        (content.operation != Operation::Delete).then(|| Value::Object(content.after.clone()))
    }
}

impl PartialEq for Unseen {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.content, &other.content)
    }
}

impl Eq for Unseen {}

/// Without values: they are not for logs.
impl fmt::Debug for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unseen").field("txid", &self.txid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ledger::Ledger;

    fn told(id: i64, table: &str, operation: &str, key: Value, after: Value) -> Told {
        Told {
            id,
            txid: "7".to_owned(),
            table: table.to_owned(),
            operation: operation.to_owned(),
            key,
            before: (operation != "INSERT").then(|| json!({"nickname": "old"})),
            after: Some(after),
            is_pending: true,
            has_options: false,
            sealed: None,
            values: Vec::new(),
        }
    }

    #[test]
    fn what_is_plain_leaves_before_it_is_seen_and_the_rest_has_to_be_seen() {
        let catalog = Catalog::bundled().unwrap();
        let commit = Ledger::default().received(1);
        let ids = |told: Vec<Told>| {
            let queued = queue(&catalog, told, commit)?;
            Some(queued.iter().map(|queued| queued.id).collect::<Vec<_>>())
        };
        let user = || told(1, "user", "UPDATE", json!({"user_id": "auth0|a"}), json!({"nickname": "new"}));
        let role = |operation: &str| told(2, "role", operation, json!({"id": "new_1"}), json!({"name": "r"}));
        assert_eq!(ids(vec![user(), role("INSERT")]), Some(vec![1, 2]));
        assert_eq!(ids(vec![Told { is_pending: false, ..user() }]), Some(vec![]), "there is nothing to send");
        assert_eq!(ids(vec![user(), Told { has_options: true, ..user() }]), None);
        assert_eq!(ids(vec![role("INSERT"), role("UPDATE")]), None, "its key is not Auth0's yet");
        let link = json!({"role_id": "new_1", "user_id": "auth0|a"});
        assert_eq!(ids(vec![told(3, "user_role", "INSERT", link.clone(), link)]), None);
        assert_eq!(ids(vec![told(4, "no_such", "INSERT", json!({}), json!({}))]), None);
        let unseen = queue(&catalog, vec![user()], commit).unwrap().remove(0).terms.unseen.unwrap();
        assert_eq!(unseen.content.after, json!({"nickname": "new"}).as_object().cloned().unwrap());
        assert_eq!(unseen.content.before["nickname"], "old");
        assert_eq!((unseen.content.write_only.len(), unseen.sealed), (0, None));

        let mut with_values = Told { sealed: Some(Bytes::from_static(b"hidden")), ..user() };
        assert!(!with_values.open(&json!("no list")) && !with_values.open(&json!([{"id": 1}])));
        assert!(with_values.open(&json!([
            {"id": 1, "column": "password", "value": "p"},
            {"id": 2, "column": "password", "value": "of another"},
        ])));
        let unseen = queue(&catalog, vec![with_values], commit).unwrap().remove(0).terms.unseen.unwrap();
        assert_eq!(unseen.content.write_only, json!({"password": "p"}).as_object().cloned().unwrap());
        assert!(unseen.sealed.is_some());
    }
}
