//! Walks a list of the catalogue page by page, in whichever way it pages.
//!
//! Lists at Auth0 are not snapshots and lag behind writes: what is missing here may exist.

use serde_json::{Map, Value};

use super::budget::Lane;
use super::client::Client;
use super::request::Request;
use crate::catalog::{List, Paging, fill_path, placeholder};
use crate::error::{Error, Kind, Result};

/// One item of a list, as Auth0 sends it.
type Item = Map<String, Value>;

/// A list that ended at the most that Auth0 gives, not at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The most that this list gives.
    pub cap: u32,
    /// How many there are, where Auth0 told.
    pub total: Option<u64>,
}

/// The pages of one list.
pub struct Pages<'a> {
    client: &'a Client,
    list: &'a List,
    /// What every page asks for.
    request: Request,
    state: State,
    total: Option<u64>,
    cut: Option<Cut>,
    calls: u64,
}

enum State {
    Whole,
    Offset {
        page: u64,
        size: u64,
        seen: u64,
    },
    Checkpoint {
        from: Option<String>,
    },
    /// The id of the last entry; none before the first page.
    Log {
        from: Option<String>,
    },
    /// The id of the last item; none before the first page.
    After {
        from: Option<String>,
    },
    Done,
}

/// The request for a whole list, its placeholders filled by `values` (column → text).
///
/// # Errors
/// `internal` where a value is missing.
pub fn list_request(list: &List, values: &Item, lane: Lane) -> Result<Request> {
    let missing =
        || Error::new(Kind::Internal, format!("a value for a placeholder of {} is missing", list.path));
    let path = fill_path(&list.path, values).ok_or_else(missing)?;
    let mut request = Request::get(path, lane);
    for (name, value) in &list.query {
        let value = match placeholder(value) {
            Some(column) => values.get(column).and_then(Value::as_str).ok_or_else(missing)?,
            None => value,
        };
        request = request.query(name, value);
    }
    Ok(request)
}

impl<'a> Pages<'a> {
    /// The pages of `list`; `values` fill the placeholders of its path and query.
    ///
    /// # Errors
    /// `internal` where a value is missing.
    pub fn new(client: &'a Client, list: &'a List, values: &Item, lane: Lane) -> Result<Self> {
        let request = list_request(list, values, lane)?;
        let state = match list.paging {
            Paging::None | Paging::Single => State::Whole,
            Paging::Offset => State::Offset { page: 0, size: u64::from(list.per_page), seen: 0 },
            Paging::Checkpoint | Paging::Both => State::Checkpoint { from: None },
            Paging::Log => State::Log { from: None },
            Paging::After => State::After { from: None },
        };
        Ok(Pages { client, list, request, state, total: None, cut: None, calls: 0 })
    }

    /// The same for the rows alone that a search finds: the query parameter `q`.
    pub fn search(mut self, query: Option<String>) -> Self {
        if let Some(query) = query {
            self.request = self.request.query("q", query);
        }
        self
    }

    /// The same from behind an entry on, where the list is walked by ids; none is its beginning.
    pub fn after(mut self, id: Option<String>) -> Self {
        if let State::Log { from } | State::After { from } = &mut self.state {
            *from = id;
        }
        self
    }

    /// The id of the last entry that a page has shown, where the list is walked by ids.
    pub fn place(&self) -> Option<&str> {
        match &self.state {
            State::Log { from } | State::After { from } => from.as_deref(),
            _ => None,
        }
    }

    /// How many rows the list has by the last page, where Auth0 told.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The next page; none after the last. Then ask [`Pages::cut`] before the list is taken for whole.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Item>>> {
        while let Some(request) = self.request() {
            self.calls += 1;
            let body = self.client.read(&request).await?.body;
            let (items, envelope) = self.open(body)?;
            self.advance(&items, &envelope)?;
            if !items.is_empty() {
                return Ok(Some(items));
            }
        }
        Ok(None)
    }

    /// How many calls were made for the pages so far.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Set once the list has ended at its cap.
    pub fn cut(&self) -> Option<Cut> {
        self.cut
    }

    fn request(&self) -> Option<Request> {
        let request = self.request.clone();
        Some(match &self.state {
            State::Done => return None,
            State::Whole => request,
            State::Offset { page, size, .. } => request
                .query("page", page.to_string())
                .query("per_page", size.to_string())
                .query("include_totals", "true"),
            State::Checkpoint { from } => {
                let request = request.query("take", self.list.per_page.to_string());
                match from {
                    Some(from) => request.query("from", from),
                    None => request,
                }
            }
            // The oldest entries can only be searched for.
            State::Log { from: None } => request
                .query("sort", "date:1")
                .query("per_page", self.list.per_page.to_string())
                .query("page", "0"),
            State::Log { from: Some(from) } | State::After { from: Some(from) } => {
                request.query("from", from).query("take", self.list.per_page.to_string())
            }
            State::After { from: None } => request.query("take", self.list.per_page.to_string()),
        })
    }

    /// The items of an answer, and what stood around them.
    fn open(&self, body: Value) -> Result<(Vec<Item>, Item)> {
        let unexpected =
            |what: &str| Error::new(Kind::Auth0Answer, format!("GET {}: {what}", self.list.path));
        let (items, envelope) = match body {
            Value::Array(items) => (items, Item::new()),
            Value::Object(mut envelope) => {
                let key = self.list.array.as_deref().unwrap_or_default();
                match envelope.shift_remove(key) {
                    Some(Value::Array(items)) => (items, envelope),
                    // A part of one thing that is left out where it is empty.
                    None | Some(Value::Null) if self.is_part() => (Vec::new(), envelope),
                    _ => return Err(unexpected(&format!("the answer has no array {key:?}"))),
                }
            }
            _ => return Err(unexpected("the answer is neither an array nor an object")),
        };
        let items = items.into_iter().map(|item| match (item, &self.list.item) {
            (Value::Object(item), _) => Ok(item),
            (bare, Some(column)) => Ok(Item::from_iter([(column.clone(), bare)])),
            _ => Err(unexpected("an item of the list is not an object")),
        });
        Ok((items.collect::<Result<_>>()?, envelope))
    }

    /// Whether the list is a field of something that has its own path.
    fn is_part(&self) -> bool {
        self.list.paging == Paging::None && self.list.path.ends_with('}')
    }

    fn advance(&mut self, items: &[Item], envelope: &Item) -> Result<()> {
        let count = items.len() as u64;
        let next = match &self.state {
            State::Done | State::Whole => State::Done,
            State::Offset { page, size, seen } => {
                let number = |key: &str| envelope.get(key).and_then(Value::as_u64).filter(|n| *n > 0);
                // The server may give smaller pages than asked for, and then says so; some leave
                // the total out.
                let size = number("limit").unwrap_or(*size).min(*size);
                let (seen, total) = (seen + count, number("total"));
                self.total = total;
                let ended = count == 0 || total.map_or(count < size, |total| seen >= total);
                match self.list.cap {
                    _ if ended => State::Done,
                    Some(cap) if seen + size > u64::from(cap) => {
                        self.cut = Some(Cut { cap, total });
                        State::Done
                    }
                    _ => State::Offset { page: page + 1, size, seen },
                }
            }
            State::Checkpoint { from } => match envelope.get("next").and_then(Value::as_str) {
                None | Some("") => State::Done,
                // The same place again would go on for ever.
                Some(next) if Some(next) == from.as_deref() => {
                    let what = format!("GET {}: the list does not advance", self.list.path);
                    return Err(Error::new(Kind::Auth0Answer, what));
                }
                Some(next) => State::Checkpoint { from: Some(next.to_owned()) },
            },
            State::After { from } => match items.last().and_then(|last| last.get("id")?.as_str()) {
                // Whether `from` itself comes again is not said.
                Some(id) if from.as_deref() != Some(id) => State::After { from: Some(id.to_owned()) },
                _ => State::Done,
            },
            State::Log { from } => match items.last() {
                None => State::Done,
                Some(last) => {
                    let id = ["log_id", "_id"].into_iter().find_map(|key| last.get(key)?.as_str());
                    let id = id.filter(|id| Some(*id) != from.as_deref()).ok_or_else(|| {
                        let what = format!("GET {}: the list does not advance", self.list.path);
                        Error::new(Kind::Auth0Answer, what)
                    })?;
                    State::Log { from: Some(id.to_owned()) }
                }
            },
        };
        self.state = next;
        Ok(())
    }
}
