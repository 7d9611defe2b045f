//! Reads single rows from Auth0 for writeback: before a call that replaces them, after one whose
//! answer was lost, and after one whose answer does not show what reading shows.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::call::{Found, Verdict, delay};
use super::request::{self, Content};
use super::worker::Context;
use super::{recognise, shown};
use crate::auth0::{Lane, Pages, Request};
use crate::catalog::{List, NewKey, Paging, Recognise, Resource, RowKey, fill_path};
use crate::error::{Error, Kind, Result, Retry};
use crate::pg::mirror::{Operation, Row, row_listed};

/// What reading a row found.
#[derive(Clone, Debug)]
pub(super) enum There {
    /// There is no call that would tell, or a list does not show it, which proves nothing.
    Unknown,
    /// Auth0 says that there is no such row.
    Nothing,
    /// The answer, and the row that it shows.
    Row(Value, Row),
}

/// The row under `key` as Auth0 has it: by its own call, else from a list.
///
/// # Errors
/// What kept Auth0 from answering.
pub(super) async fn current(
    context: &Context,
    resource: &Resource,
    key: &Map<String, Value>,
) -> Result<There> {
    if let Some(get) = &resource.get {
        return one(context, resource, &Request::of_row(get, key, Lane::Write)?, key).await;
    }
    for list in &resource.list {
        let Some(path) = fill_path(&list.path, key) else { continue };
        if list.paging == Paging::Single {
            return one(context, resource, &Request::get(path, Lane::Write), key).await;
        }
        let wanted = RowKey::of(resource, key);
        let found = search(context, resource, list, key, |row| RowKey::of(resource, row) == wanted).await?;
        return Ok(found.map_or(There::Unknown, |(item, row)| There::Row(Value::Object(item), row)));
    }
    Ok(There::Unknown)
}

/// The row that one call answers.
pub(super) async fn one(
    context: &Context,
    resource: &Resource,
    request: &Request,
    key: &Map<String, Value>,
) -> Result<There> {
    match context.auth0.read(request).await {
        Ok(answer) => {
            let row = shown::row(resource, &answer.body, key);
            Ok(if resource.is_absent(&row) { There::Nothing } else { There::Row(answer.body, row) })
        }
        Err(error) if error.kind() == Kind::Auth0NotFound => Ok(There::Nothing),
        Err(error) => Err(error),
    }
}

/// The first item of a list whose row is the one that is looked for; none where the parent that the
/// list hangs on has gone.
pub(super) async fn search(
    context: &Context,
    resource: &Resource,
    list: &List,
    values: &Map<String, Value>,
    mut wanted: impl FnMut(&Row) -> bool,
) -> Result<Option<(Map<String, Value>, Row)>> {
    let mut pages = Pages::new(&context.auth0, list, values, Lane::Write)?;
    loop {
        let items = match pages.next_page().await {
            Ok(Some(items)) => items,
            Ok(None) => return Ok(None),
            Err(error) if list.parent.is_some() && error.kind() == Kind::Auth0NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        for item in items {
            let row = row_listed(resource, list, &item, values);
            if wanted(&row) {
                return Ok(Some((item, row)));
            }
        }
    }
}

/// The verdict with the row as reading shows it, where the catalogue says that the answer to a
/// write shows other values. It is read before the mutation settles, so that a stop in between
/// leaves nothing behind that nobody would correct.
pub(super) async fn as_read(
    context: &Context,
    resource: &Resource,
    content: &Content,
    verdict: Verdict,
) -> Verdict {
    let Verdict::Applied(answer) = &verdict else { return verdict };
    if !resource.reread || content.operation == Operation::Delete {
        return verdict;
    }
    let key = answer.as_ref().and_then(|row| RowKey::of(resource, row));
    let key = key.map_or_else(|| content.key.clone(), |key| key.to_json(resource));
    let mut tries = 0;
    loop {
        match current(context, resource, &key).await {
            Ok(There::Row(_, mut row)) => {
                // What only the answer to the write shows.
                let kept = resource.columns.iter().filter(|(_, column)| column.kept);
                for (name, value) in kept.filter_map(|(name, _)| Some((name, answer.as_ref()?.get(name)?))) {
                    row.entry(name.clone()).or_insert_with(|| value.clone());
                }
                return Verdict::Applied(Some(row));
            }
            // Somebody has deleted it since, which the tenant log will tell.
            Ok(There::Nothing | There::Unknown) => return verdict,
            // It will never be readable: the answer has to do.
            Err(error) if error.kind().policy().retry == Retry::Never => return verdict,
            Err(error) => tracing::warn!(%error, "a row that was written cannot be read yet"),
        }
        tokio::time::sleep(delay(tries)).await;
        tries += 1;
    }
}

/// The verdict with the key that Auth0 has made, looked up where the answer to a create did not name
/// it; without a row where it cannot be found.
pub(super) async fn named(
    context: &Context,
    resource: &Resource,
    content: &Content,
    verdict: Verdict,
) -> Verdict {
    let Verdict::Applied(row) = &verdict else { return verdict };
    let provisional = |row: &Row| RowKey::of(resource, row) == RowKey::of(resource, &content.key);
    let nameless = content.operation == Operation::Insert
        && resource.new_key == NewKey::Server
        && row.as_ref().is_none_or(provisional);
    if !nameless {
        return verdict;
    }
    match read_back(context, resource, content).await {
        Ok(Found::Row(row)) => return Verdict::Applied(Some(row)),
        Ok(Found::Nothing | Found::Repeatable) => {}
        Err(error) => tracing::warn!(%error, "the key of a new row cannot be read"),
    }
    tracing::error!(table = %resource.table, "Auth0 has not told the key of a new row, the table is read again");
    Verdict::Applied(None)
}

/// How to find out what became of a call whose answer was lost.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way<'r> {
    /// Not at all: doing it again does no harm.
    Repeat,
    /// By the row's key.
    Key,
    /// By a path that names the row by other columns.
    Path(&'r str),
    /// In a list with this query, by these columns.
    List(&'r IndexMap<String, String>, &'r [String]),
}

/// The way that the catalogue knows for a call.
pub(super) fn way<'r>(resource: &'r Resource, content: &Content) -> Way<'r> {
    // The whole list is read, edited and written anew: that is the same however often.
    if resource.replace.is_some() {
        return Way::Repeat;
    }
    if content.operation != Operation::Insert {
        // What cannot be read back may be missing though all that is shown looks right; setting it
        // again to the same value does no harm.
        let unseen = content.operation == Operation::Update
            && (!content.write_only.is_empty() || content.after.is_empty());
        return if unseen { Way::Repeat } else { Way::Key };
    }
    match resource.create.as_ref().map(|create| &create.recognise) {
        Some(Recognise::Key) => Way::Key,
        Some(Recognise::Repeat) | None => Way::Repeat,
        Some(Recognise::Path { path }) => Way::Path(path),
        Some(Recognise::List { query, columns }) => Way::List(query, columns),
    }
}

/// Finds out what became of a call whose answer was lost.
pub(super) async fn read_back(context: &Context, resource: &Resource, content: &Content) -> Result<Found> {
    let found = |there: There| match there {
        There::Row(_, row) => Found::Row(row),
        There::Nothing => Found::Nothing,
        There::Unknown => Found::Repeatable,
    };
    match way(resource, content) {
        Way::Repeat => Ok(Found::Repeatable),
        Way::Key => Ok(found(current(context, resource, &content.key).await?)),
        Way::Path(path) => {
            let path = fill_path(path, &request::values(content))
                .ok_or_else(|| Error::new(Kind::Internal, format!("a value for {path} is missing")))?;
            // The last part of the key that it has here is provisional: only the answer's counts.
            let mut above = content.key.clone();
            above.retain(|column, _| resource.made_column() != Some(column));
            Ok(found(one(context, resource, &Request::get(path, Lane::Write), &above).await?))
        }
        Way::List(query, columns) => recognise::in_list(context, resource, content, query, columns).await,
    }
}
