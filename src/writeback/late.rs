//! Mutations that name a row by a provisional key although Auth0 has made the real one: their client
//! had it from `INSERT … RETURNING`, and committed while it was being replaced. They get the real key,
//! with their rows, before they are queued, or before they leave where they were queued meanwhile.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::Value;

use super::lanes::{Lanes, Node, Queued, Terms, Work};
use super::request::Content;
use super::store::{Store, references};
use crate::catalog::{Catalog, Resource, RowKey};
use crate::error::{Kind, Result};
use crate::ledger::Token;
use crate::pg::mirror::{Operation, PROVISIONAL, Row, replace_key};

/// What became of a page of mutations.
#[derive(Debug, Default)]
pub(super) struct Renamed {
    /// Some have other keys now: the page is to be read again.
    pub(super) any: bool,
    /// Those whose rows a client holds: they are looked at again.
    pub(super) busy: HashSet<i64>,
}

/// Looks for such mutations in a page, and renames what they name.
///
/// # Errors
/// Of the database, where the keys cannot be looked up.
pub(super) async fn rename(
    store: &Store,
    catalog: &Catalog,
    lanes: &Lanes,
    page: &[Queued],
) -> Result<Renamed> {
    let named = orphans(lanes, page);
    let mut renamed = Renamed::default();
    let (Some(first), false) = (page.first(), named.is_empty()) else { return Ok(renamed) };
    for (table, old, made) in store.made_keys(named.keys()).await? {
        let replaced = replace_key(&store.database, &store.schema, catalog, &table, (&old, &made), first.id);
        match replaced.await {
            Ok(any) => renamed.any |= any,
            Err(error) if error.kind() == Kind::DatabaseBusy => {
                let ids = named.get(&(table, RowKey::single(old))).into_iter().flatten();
                renamed.busy.extend(ids.copied());
            }
            // As it is, Auth0 refuses it, and its row goes.
            Err(error) => tracing::warn!(%error, %table, "a provisional key cannot be replaced any more"),
        }
    }
    Ok(renamed)
}

/// Whether a row has its key from Auth0 by now, and the lanes have not heard of it: a page that was just read
/// names it by that key, so what it must wait for would not be found.
///
/// # Errors
/// Of the database.
pub(super) async fn is_ahead(store: &Store, lanes: &Lanes) -> Result<bool> {
    let arriving = lanes.arriving();
    Ok(!arriving.is_empty() && !store.made_keys(arriving.into_iter()).await?.is_empty())
}

/// The change as it leaves: rows that it names by a provisional key have settled by now, so where it
/// still has one it came into the table while its parent settled. Waits for clients that hold its row.
///
/// # Errors
/// Of the database.
pub(super) async fn translate(
    store: &Store,
    catalog: &Catalog,
    resource: &Resource,
    work: &Work,
    mut content: Content,
) -> Result<Content> {
    let named = provisional(catalog, resource, &content);
    let (Some(first), false) = (work.ids.first(), named.is_empty()) else { return Ok(content) };
    for (table, old, made) in store.made_keys(named.iter()).await? {
        let (keys, mut pause) = ((old.as_str(), made.as_str()), Duration::from_millis(5));
        loop {
            match replace_key(&store.database, &store.schema, catalog, &table, keys, *first).await {
                Ok(_) => break with(&mut content, &old, &made),
                Err(error) if error.kind() == Kind::DatabaseBusy => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
                Err(error) => {
                    tracing::warn!(%error, %table, "a provisional key cannot be replaced any more");
                    break;
                }
            }
        }
    }
    Ok(content)
}

/// Rows that a change references by a provisional key.
pub(super) fn provisional(catalog: &Catalog, resource: &Resource, content: &Content) -> Vec<Node> {
    let image = if content.after.is_empty() { &content.before } else { &content.after };
    let key = RowKey::of(resource, &content.key).unwrap_or_else(|| RowKey(Vec::new()));
    let named = references(catalog, resource, &key, &Value::Object(image.clone()));
    let named = named.into_iter().map(|(node, _)| node);
    named.filter(|(_, key)| key.0.last().is_some_and(|made| made.starts_with(PROVISIONAL))).collect()
}

/// A change as it is queued where it can be neither renamed nor waited for: none where its own key, unless it is
/// the INSERT that brings it, or one that it references is provisional. Pure.
pub(super) fn with_lasting_keys(
    catalog: &Catalog,
    resource: &Resource,
    (id, commit): (i64, Token),
    operation: Operation,
    key: &Row,
    image: &Value,
) -> Option<Queued> {
    let key = RowKey::of(resource, key)?;
    let references = references(catalog, resource, &key, image);
    let is_provisional = |key: &RowKey| key.0.iter().any(|part| part.starts_with(PROVISIONAL));
    let own = operation != Operation::Insert && is_provisional(&key);
    if own || references.iter().any(|(node, _)| is_provisional(&node.1)) {
        return None;
    }
    Some(Queued {
        id,
        node: (resource.table.clone(), key),
        operation,
        references,
        uncertain: false,
        terms: Terms::default(),
        commit: Some(commit),
    })
}

/// Puts a key in the place of a provisional one, which is like no other value.
pub(super) fn with(content: &mut Content, old: &str, made: &str) {
    let images = [&mut content.key, &mut content.before, &mut content.after];
    for value in images.into_iter().flat_map(|image| image.values_mut()) {
        if value == old {
            *value = Value::String(made.to_owned());
        }
    }
}

/// Provisional keys of rows whose own insert is not on its way, each with the mutations that name it.
pub(super) fn orphans(lanes: &Lanes, page: &[Queued]) -> HashMap<Node, Vec<i64>> {
    let here: HashSet<&Node> = page.iter().map(|queued| &queued.node).collect();
    let mut named: HashMap<Node, Vec<i64>> = HashMap::new();
    for queued in page {
        for (node, _) in &queued.references {
            let made = node.1.0.last().filter(|made| made.starts_with(PROVISIONAL));
            let (Some(made), false) = (made, here.contains(node) || lanes.has_row(node)) else { continue };
            named.entry((node.0.clone(), RowKey::single(made.clone()))).or_default().push(queued.id);
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(id: i64, table: &str, key: &str, parent: Option<&str>) -> Queued {
        let parent = parent.map(|key| (("parent".to_owned(), RowKey::single(key)), Some(0)));
        Queued {
            id,
            node: (table.to_owned(), RowKey::single(key)),
            operation: Operation::Insert,
            references: parent.into_iter().collect(),
            uncertain: false,
            terms: Terms::default(),
            commit: None,
        }
    }

    #[test]
    fn only_a_key_whose_own_insert_is_not_on_its_way_is_looked_up() {
        let mut lanes = Lanes::default();
        lanes.push(queued(1, "parent", "new_1", None));
        let page = [
            queued(2, "parent", "new_2", None),
            queued(3, "child", "a", Some("new_1")),
            queued(4, "child", "b", Some("new_2")),
            queued(5, "child", "c", Some("new_3")),
            queued(6, "child", "d", Some("p_4")),
            queued(7, "child", "e", Some("new_3")),
        ];
        let expected = (("parent".to_owned(), RowKey::single("new_3")), vec![5, 7]);
        assert_eq!(orphans(&lanes, &page), HashMap::from([expected]));
    }
}
