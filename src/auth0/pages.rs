//! Walks a list of the catalogue page by page, in whichever way it pages.
//!
//! Lists at Auth0 are not snapshots and lag behind writes: what is missing here may exist.

use serde_json::{Map, Value};

use super::budget::Lane;
use super::client::Client;
use super::request::Request;
use crate::catalog::{List, Paging, fill_path};
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
    path: String,
    search: Option<String>,
    lane: Lane,
    state: State,
    total: Option<u64>,
    cut: Option<Cut>,
}

enum State {
    Whole,
    Offset { page: u64, size: u64, seen: u64 },
    Checkpoint { from: Option<String> },
    Done,
}

impl<'a> Pages<'a> {
    /// The pages of `list`; `values` fill the placeholders of its path and come from the parent's row.
    pub fn new(client: &'a Client, list: &'a List, values: &Item, lane: Lane) -> Result<Self> {
        let path = fill_path(&list.path, values).ok_or_else(|| {
            Error::new(Kind::Internal, format!("a value for a placeholder of {} is missing", list.path))
        })?;
        let state = match list.paging {
            Paging::None | Paging::Single => State::Whole,
            Paging::Offset => State::Offset { page: 0, size: u64::from(list.per_page), seen: 0 },
            Paging::Checkpoint | Paging::Both | Paging::Log => State::Checkpoint { from: None },
        };
        Ok(Pages { client, list, path, search: None, lane, state, total: None, cut: None })
    }

    /// The same for the rows alone that a search finds: the query parameter `q`.
    pub fn search(mut self, query: Option<String>) -> Self {
        self.search = query;
        self
    }

    /// How many rows the list has by the last page, where Auth0 told.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The next page; none after the last. Then ask [`Pages::cut`] before the list is taken for whole.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Item>>> {
        while let Some(request) = self.request() {
            let body = self.client.read(&request).await?.body;
            let (items, envelope) = self.open(body)?;
            self.advance(items.len() as u64, &envelope)?;
            if !items.is_empty() {
                return Ok(Some(items));
            }
        }
        Ok(None)
    }

    /// Set once the list has ended at its cap.
    pub fn cut(&self) -> Option<Cut> {
        self.cut
    }

    fn request(&self) -> Option<Request> {
        let mut request = Request::get(self.path.clone(), self.lane);
        for (name, value) in &self.list.query {
            request = request.query(name, value);
        }
        if let Some(query) = &self.search {
            request = request.query("q", query);
        }
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
                    _ => return Err(unexpected(&format!("the answer has no array {key:?}"))),
                }
            }
            _ => return Err(unexpected("the answer is neither an array nor an object")),
        };
        let items = items.into_iter().map(|item| match item {
            Value::Object(item) => Ok(item),
            _ => Err(unexpected("an item of the list is not an object")),
        });
        Ok((items.collect::<Result<_>>()?, envelope))
    }

    fn advance(&mut self, count: u64, envelope: &Item) -> Result<()> {
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
        };
        self.state = next;
        Ok(())
    }
}
