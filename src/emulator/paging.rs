//! Offset and checkpoint paging, and the envelopes of both. It never looks at the store.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::problem::{Answer, Problem};
use super::rules::Rules;
use super::world::Request;
use crate::catalog::{List, Paging};

const DEFAULT_PAGE: usize = 50;

/// What a list has: each item with its number, ascending, before it is made ready to be shown.
#[derive(Debug)]
pub(super) struct Items<T> {
    /// How many there are in all.
    pub(super) total: usize,
    /// So many of the first are left out, since no page asked for has them.
    pub(super) skipped: usize,
    /// The others.
    pub(super) rows: Vec<(u64, T)>,
}

/// The part of a list that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    /// All of it.
    All,
    /// From a place on.
    Page {
        /// The place, from 0.
        start: usize,
        /// How many items at most.
        take: usize,
    },
    /// What has larger numbers.
    After {
        /// The number.
        number: u64,
        /// How many items at most.
        take: usize,
    },
}

/// How a request reads a list.
enum Way {
    Offset,
    Checkpoint,
    Last,
    Whole,
}

fn way(request: &Request, list: &List, rules: &Rules) -> Way {
    let asked = ["take", "from", "q"].iter().any(|name| request.param(name).is_some());
    match list.paging {
        Paging::Checkpoint if asked || !rules.page.bare_without_take => Way::Checkpoint,
        Paging::Both if asked && (request.param("q").is_none() || request.param("take").is_some()) => {
            Way::Checkpoint
        }
        Paging::Log | Paging::After => Way::Last,
        Paging::Offset | Paging::Both => Way::Offset,
        _ => Way::Whole,
    }
}

/// What the request asks for.
///
/// # Errors
/// Auth0's refusal of a parameter.
pub(super) fn window(request: &Request, list: &List, rules: &Rules) -> Result<Window, Problem> {
    Ok(match way(request, list, rules) {
        Way::Offset => {
            let (page, take) = offset(request, list, rules)?;
            Window::Page { start: page.saturating_mul(take), take }
        }
        Way::Checkpoint => {
            let (number, take) = checkpoint(request, list, rules)?;
            Window::After { number, take }
        }
        Way::Last | Way::Whole => Window::All,
    })
}

/// The page that the request asks for, of which alone `show` makes what is shown; `capped`: offset
/// paging ends at the list's cap.
///
/// # Errors
/// Auth0's refusal of a parameter, or of a page beyond the cap.
pub(super) fn page<T>(
    request: &Request,
    list: &List,
    rules: &Rules,
    capped: bool,
    items: Items<T>,
    show: impl Fn(T) -> Value,
) -> Result<Answer, Problem> {
    match way(request, list, rules) {
        Way::Checkpoint => by_checkpoint(request, list, rules, items.rows, show),
        Way::Last => {
            let items = items.rows.into_iter().map(|(_, item)| show(item));
            Ok(Answer::new(200, by_last(request, list, items.collect())?))
        }
        Way::Offset => by_offset(request, list, rules, capped, items, show),
        Way::Whole => {
            let items: Value = items.rows.into_iter().map(|(_, item)| show(item)).collect();
            let array = list.array.as_ref().filter(|_| list.paging != Paging::Checkpoint);
            Ok(Answer::new(200, array.map_or_else(|| items.clone(), |array| json!({array: items}))))
        }
    }
}

/// The items after the one whose id `from` is.
fn by_last(request: &Request, list: &List, items: Vec<Value>) -> Result<Value, Problem> {
    let take = number(request, "take", DEFAULT_PAGE, list.per_page as usize)?;
    let seen = request.param("from").and_then(|from| {
        let place = items.iter().position(|item| item["id"].as_str() == Some(from));
        place.map(|place| place + 1)
    });
    Ok(items.into_iter().skip(seen.unwrap_or(0)).take(take).collect())
}

/// The page and its size that offset paging asks for.
///
/// # Errors
/// Auth0's refusal of a parameter.
fn offset(request: &Request, list: &List, rules: &Rules) -> Result<(usize, usize), Problem> {
    let usual = rules.page.default.map_or(DEFAULT_PAGE, |page| page as usize);
    let per_page = number(request, "per_page", usual, list.per_page as usize)?;
    Ok((number(request, "page", 0, usize::MAX)?, per_page))
}

fn by_offset<T>(
    request: &Request,
    list: &List,
    rules: &Rules,
    capped: bool,
    items: Items<T>,
    show: impl Fn(T) -> Value,
) -> Result<Answer, Problem> {
    let (page, per_page) = offset(request, list, rules)?;
    if let Some(cap) = list.cap.filter(|cap| capped && (page + 1).saturating_mul(per_page) > *cap as usize) {
        let message = if list.paging == Paging::Both {
            format!("Checkpoint pagination must be used if you need to retrieve more than {cap} results.")
        } else {
            format!(
                "You can only page through the first {cap} records. See https://auth0.com/docs/users/search/v3/view-search-results-by-page#limitation."
            )
        };
        return Err(Problem::new(400, message, "invalid_paging"));
    }
    let (total, start) = (items.total, page.saturating_mul(per_page));
    let here = items.rows.into_iter().skip(start.saturating_sub(items.skipped)).take(per_page);
    let items: Vec<Value> = here.map(|(_, item)| show(item)).collect();
    let enveloped = request.flag("include_totals") || rules.page.always_enveloped;
    let Some(array) = list.array.as_ref().filter(|_| enveloped) else {
        return Ok(Answer::new(200, Value::Array(items)));
    };
    let usual = ["start", "limit", "total", "length"].map(str::to_owned);
    let usual = &usual[..if rules.length { 4 } else { 3 }];
    let mut envelope = json!({});
    for name in rules.page.envelope.as_deref().unwrap_or(usual) {
        let figure = match name.as_str() {
            "start" => start,
            "limit" | "per_page" => per_page,
            "page" => page,
            "length" => items.len(),
            _ => total,
        };
        if figure > 0 || !rules.page.zeros_dropped {
            envelope[name] = figure.into();
        }
    }
    envelope[array] = Value::Array(items);
    Ok(Answer::new(200, envelope))
}

fn by_checkpoint<T>(
    request: &Request,
    list: &List,
    rules: &Rules,
    items: Vec<(u64, T)>,
    show: impl Fn(T) -> Value,
) -> Result<Answer, Problem> {
    let (after, take) = checkpoint(request, list, rules)?;
    let mut rest = items.into_iter().filter(|(number, _)| *number > after).peekable();
    let page: Vec<(u64, T)> = rest.by_ref().take(take.max(1)).collect();
    let last = page.last().map(|(number, _)| *number);
    let mut envelope = json!({});
    let items = page.into_iter().map(|(_, item)| show(item)).collect();
    envelope[list.array.as_deref().unwrap_or("items")] = items;
    if let Some(last) = last.filter(|_| rest.peek().is_some() || rules.trailing_page) {
        envelope["next"] = URL_SAFE_NO_PAD.encode(format!("after,{last}")).into();
    }
    Ok(Answer::new(200, envelope))
}

/// The number after which the page begins, and how many items it has at most.
fn checkpoint(request: &Request, list: &List, rules: &Rules) -> Result<(u64, usize), Problem> {
    let usual = rules.page.default.map_or(DEFAULT_PAGE, |page| page as usize);
    let take = number(request, "take", usual, list.per_page as usize)?;
    let after = match request.param("from").filter(|from| !from.is_empty()) {
        Some(from) => cursor(from).ok_or_else(|| {
            Problem::query("Invalid checkpoint", ("from", "Id of the item after which the page starts"))
        })?,
        None => 0,
    };
    Ok((after, take))
}

fn cursor(from: &str) -> Option<u64> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(from.trim_end_matches('=')).ok()?).ok()?;
    text.strip_prefix("after,")?.parse().ok()
}

/// A whole number in the query, at most `most`.
///
/// # Errors
/// Auth0's refusal.
pub(super) fn number(request: &Request, name: &str, default: usize, most: usize) -> Result<usize, Problem> {
    let Some(text) = request.param(name) else { return Ok(default) };
    let comment = (name, "A position or size of the page");
    match text.parse::<i64>() {
        Err(_) => Err(Problem::query("Expected type integer but found type string", comment)),
        Ok(value) if value < 0 => {
            Err(Problem::query(&format!("Value {value} is less than minimum 0"), comment))
        }
        Ok(value) if value as u64 > most as u64 => {
            Err(Problem::query(&format!("Value {value} is greater than maximum {most}"), comment))
        }
        Ok(value) => Ok(value as usize),
    }
}
