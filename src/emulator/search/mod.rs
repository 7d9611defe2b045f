//! Searching rows: the syntax of `q` (Lucene's query strings, as Auth0 documents them for users), which
//! rows answer a query, and their order. A field answers if any of its values does. It reads rows and
//! never asks who may see them.

mod parse;
mod plan;
mod value;

use std::cmp::Ordering;

use serde_json::Value;

use super::packed::View;
use super::problem::Problem;
use super::rules::{Derived, Fields, Search};
pub(super) use plan::Place;
use value::Test;

/// A parsed query.
#[derive(Clone, Debug)]
pub(super) struct Query<'h> {
    node: Node,
    how: &'h Search,
}

#[derive(Clone, Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    /// A field, or any field at all, has a value for which the test holds.
    Field(Option<String>, Test),
}

/// Why a query is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused(String);

impl Refused {
    fn syntax() -> Refused {
        Refused("Failed to parse query".to_owned())
    }
}

impl From<Refused> for Problem {
    fn from(Refused(what): Refused) -> Problem {
        Problem::new(400, what, "invalid_query_string")
    }
}

/// The values, as texts, of a field that rows do not have.
pub(super) type Linked<'a> = &'a dyn Fn(&Derived) -> Vec<String>;

impl<'h> Query<'h> {
    /// Parses a query on rows that are searched like this.
    ///
    /// # Errors
    /// What it does not understand, or what is not searched so.
    pub(super) fn parse(text: &str, how: &'h Search) -> Result<Query<'h>, Refused> {
        Ok(Query { node: parse::parse(text, how)?, how })
    }

    /// Whether a row answers the query; `linked` gives what stands outside it.
    pub(super) fn matches(&self, row: View, linked: Linked) -> bool {
        self.holds(&self.node, row, linked)
    }

    fn holds(&self, node: &Node, row: View, linked: Linked) -> bool {
        match node {
            Node::All(nodes) => nodes.iter().all(|node| self.holds(node, row, linked)),
            Node::Any(nodes) => nodes.iter().any(|node| self.holds(node, row, linked)),
            Node::Not(node) => !self.holds(node, row, linked),
            Node::Field(Some(field), test) => self.field(field, test, row, linked),
            Node::Field(None, test) => row.fields().iter().any(|(field, value)| {
                let fold = self.how.folds(field);
                !self.how.unnamed.iter().any(|name| name == field)
                    && any(value, "", true, &mut |value| test.holds(value, fold))
            }),
        }
    }

    fn field(&self, field: &str, test: &Test, row: View, linked: Linked) -> bool {
        match self.how.derived.get(field) {
            Some(Derived::After { of, after }) => {
                let value = row.field(of);
                let text = value.as_deref().and_then(Value::as_str);
                let part = text.and_then(|text| Some(text.rsplit_once(after.as_str())?.1));
                part.is_some_and(|part| test.holds(&part.into(), self.how.folds(of)))
            }
            Some(link) => linked(link).into_iter().any(|value| test.holds(&value.into(), false)),
            None => {
                let (first, rest) = field.split_once('.').unwrap_or((field, ""));
                let (fold, deep) = (self.how.folds(field), matches!(test, Test::Exists));
                let value = row.field(first);
                value.is_some_and(|value| any(&value, rest, deep, &mut |value| test.holds(value, fold)))
            }
        }
    }
}

/// Whether one of the values at a dotted way is as asked. Arrays on the way give each of their items;
/// `deep`: so do objects at its end.
fn any(value: &Value, way: &str, deep: bool, test: &mut dyn FnMut(&Value) -> bool) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| any(item, way, deep, test)),
        Value::Object(fields) if way.is_empty() => {
            deep && fields.values().any(|item| any(item, "", deep, test))
        }
        Value::Object(fields) => {
            let (first, rest) = way.split_once('.').unwrap_or((way, ""));
            fields.get(first).is_some_and(|value| any(value, rest, deep, test))
        }
        value => way.is_empty() && test(value),
    }
}

/// Whether a dotted field holds this text.
pub(super) fn has_text(row: View, field: &str, text: &str) -> bool {
    let (first, rest) = field.split_once('.').unwrap_or((field, ""));
    row.field(first).is_some_and(|value| any(&value, rest, false, &mut |value| value.as_str() == Some(text)))
}

/// A field to sort by, and whether the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order<'q> {
    pub(super) field: &'q str,
    pub(super) reverse: bool,
}

impl<'q> Order<'q> {
    /// The order of `field:1` or `field:-1`.
    ///
    /// # Errors
    /// A text of another shape, or a field by which is not sorted.
    pub(super) fn parse(text: &'q str, how: &Search) -> Result<Order<'q>, Refused> {
        let order = match text.rsplit_once(':') {
            Some((field, "1")) if !field.is_empty() => Order { field, reverse: false },
            Some((field, "-1")) if !field.is_empty() => Order { field, reverse: true },
            _ => {
                let what = "Query validation error: 'String does not match pattern ^.+:(1|-1)$' on property sort (Field to sort by).";
                return Err(Refused(what.to_owned()));
            }
        };
        let top = order.field.split('.').next().unwrap_or(order.field);
        match how.unsorted.iter().any(|name| name == top) {
            true => Err(Refused(format!("Sorting by {top} is not supported"))),
            false => Ok(order),
        }
    }

    /// What a row is sorted by.
    pub(super) fn key(self, row: View) -> SortKey {
        let (first, rest) = self.field.split_once('.').unwrap_or((self.field, ""));
        let mut key = SortKey::Absent;
        let value = row.field(first);
        value.map(|value| {
            any(&value, rest, false, &mut |value| {
                key = match value {
                    Value::Bool(value) => SortKey::Flag(*value),
                    Value::Number(number) => SortKey::Number(number.as_f64().unwrap_or_default()),
                    Value::String(text) => SortKey::Text(text.clone()),
                    _ => SortKey::Absent,
                };
                key != SortKey::Absent
            })
        });
        key
    }

    /// Sorts what has keys; what is equal stays in its order.
    pub(super) fn sort<T>(self, rows: &mut [(SortKey, T)]) {
        rows.sort_by(|(one, _), (other, _)| {
            let order = one.compare(other);
            if self.reverse { order.reverse() } else { order }
        });
    }
}

/// A value in the order of values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SortKey {
    Absent,
    Flag(bool),
    Number(f64),
    Text(String),
}

impl SortKey {
    fn compare(&self, other: &SortKey) -> Ordering {
        let rank = |key: &SortKey| match key {
            SortKey::Absent => 0,
            SortKey::Flag(_) => 1,
            SortKey::Number(_) => 2,
            SortKey::Text(_) => 3,
        };
        match (self, other) {
            (SortKey::Flag(one), SortKey::Flag(other)) => one.cmp(other),
            (SortKey::Number(one), SortKey::Number(other)) => one.total_cmp(other),
            (SortKey::Text(one), SortKey::Text(other)) => one.cmp(other),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

/// Orders items by `field:1` or `field:-1`.
///
/// # Errors
/// Those of `Order::parse`.
pub(super) fn sort<T>(order: &str, rows: Vec<T>, fields: fn(&T) -> &Fields) -> Result<Vec<T>, Refused> {
    let order = Order::parse(order, Search::any())?;
    let mut rows: Vec<_> = rows.into_iter().map(|row| (order.key(View::Fields(fields(&row))), row)).collect();
    order.sort(&mut rows);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn how() -> Search {
        let how = json!({
            "fold": ["email", "name"],
            "exact": ["user_metadata"],
            "unnamed": ["user_metadata"],
            "unsorted": ["user_metadata"],
            "derived": {
                "email.domain": {"of": "email", "after": "@"},
                "organization_id": {"table": "member", "column": "organization_id", "by": "user_id"},
            },
        });
        serde_json::from_value(how).unwrap()
    }

    fn holds(query: &str) -> bool {
        let row = json!({
            "email": "Ada@example.com", "name": "Ada Lovelace", "nickname": "Ada", "logins_count": 12, "blocked": true,
            "created_at": "2024-03-01T10:00:00.000Z", "user_id": "auth0|5f7c", "username": null,
            "identities": [{"connection": "db", "provider": "auth0"}, {"connection": "git"}],
            "app_metadata": {"plan": "gold", "deep": {"ids": [1, 2]}, "empty": {}},
            "user_metadata": {"theme": "dark", "size": 13, "tags": []},
        });
        let linked = |_: &Derived| vec!["org_1".to_owned(), "org_2".to_owned()];
        let how = how();
        Query::parse(query, &how).unwrap().matches(View::Fields(row.as_object().unwrap()), &linked)
    }

    #[test]
    fn queries_find_what_they_name() {
        for query in [
            // Terms and phrases; only some fields are compared without regard to case.
            "email:\"ada@EXAMPLE.com\"",
            "email:ada@example.com",
            "name:\"ada lovelace\"",
            r"name:Ada\ Lovelace",
            r"user_id:auth0\|5f7c",
            "user_id:auth0|5f7c",
            "nickname:Ada",
            "blocked:true",
            "logins_count:12",
            "logins_count:12.0",
            "created_at:2024-03-01",
            "created_at:\"2024-03-01T10:00:00.000Z\"",
            "Ada",
            "gold",
            "name: \"Ada Lovelace\"",
            "(nickname:(Ada))^2",
            // Ways into objects and arrays, and what stands elsewhere.
            "identities.connection:git",
            "app_metadata.plan:(silver OR gold)",
            "app_metadata.deep.ids:2",
            "user_metadata.size:13",
            "email.domain:EXAMPLE.com",
            "organization_id:org_2",
            // Wildcards.
            "name:ada*",
            "name:*LACE",
            "name:*ovel*",
            "name:a?a*",
            "nickname:*",
            "app_metadata.plan:g*",
            // Ranges.
            "logins_count:[10 TO 20]",
            "logins_count:[12 TO 12]",
            "logins_count:{11 TO 12]",
            "logins_count:[12 TO 13}",
            "logins_count:[* TO 12]",
            "logins_count:>5",
            "logins_count:<=12",
            "created_at:[2024-01-01 TO 2024-03-01]",
            "created_at:{2024-02 TO 2024-03}  OR created_at:[2024 TO *]",
            "created_at:[2024-03-01T10:00:00Z TO 2024-03-01T10:00:00Z]",
            "created_at:{2024-03-01T09:59:59.999Z TO 2024-03-01T12:00:00.000+02:00]",
            "created_at:[\"2024-03-01T10:00:00.000Z\" TO *}",
            "name:[ada TO b]",
            // Operators.
            "NOT name:bob",
            "-name:bob",
            "!name:bob",
            "name:bob OR nickname:Ada",
            "name:bob || nickname:Ada",
            "name:bob nickname:Ada",
            "nickname:Ada AND NOT blocked:false",
            "nickname:Ada && blocked:true",
            "nickname:Ada OR blocked:false AND name:bob",
            "NOT (name:bob AND nickname:Ada)",
            "NOT _exists_:logins_count OR logins_count:12",
            "+nickname:Ada name:bob",
            "nickname:Ada -name:bob",
            "(name:bob OR name:ada*) AND blocked:true",
            "name:((bob OR \"ada lovelace\") AND NOT carl)",
            // What is there.
            "_exists_:email",
            "_exists_:app_metadata.deep",
            "_exists_:identities.provider",
        ] {
            assert!(holds(query), "{query}");
        }
    }

    #[test]
    fn queries_do_not_find_what_they_exclude() {
        for query in [
            "email:bob*",
            "email:ada",
            "nickname:ada",
            "user_id:AUTH0|5F7C",
            "app_metadata.plan:Gold",
            "dark",
            "13",
            "identities:git",
            "email.domain:ample.com",
            "organization_id:org",
            "name:\"Ada*\"",
            r"name:ada\*",
            "name:a?a",
            "logins_count:{12 TO *]",
            "logins_count:[* TO 12}",
            "logins_count:\"1\"",
            "logins_count:[5 TO 9]",
            "created_at:[2024-03-02 TO *]",
            "created_at:{2024-03-01 TO *]",
            "created_at:[* TO 2024-03}",
            "username:[* TO *]",
            "name:Ada AND blocked:false",
            "nickname:Ada -blocked:true",
            "nickname:Ada NOT blocked:true",
            "+name:bob nickname:Ada",
            "NOT NOT name:bob",
            "_exists_:username",
            "_exists_:user_metadata.tags",
            "_exists_:app_metadata.empty",
            "_exists_:user_metadata.size.more",
        ] {
            assert!(!holds(query), "{query}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        let (how, deep) = (how(), format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000)));
        let negated = "NOT ".repeat(5_000) + "a";
        for query in [
            "name:(",
            "\"open",
            "name:",
            "AND",
            "a AND",
            "a OR OR b",
            "(a))",
            "()",
            "name:[1 TO",
            "name:[1 2]",
            "name:[ TO 2]",
            "created_at:2024-03-01T10:00:00Z",
            "a:b:c",
            "name:jon~",
            "name:a^",
            "_exists_:",
            "*:a",
            "name:(other:a)",
            "a\\",
            &deep,
            &negated,
        ] {
            assert_eq!(Query::parse(query, &how).err(), Some(Refused::syntax()), "{query}");
        }
        for query in [
            "user_metadata.theme:d*",
            "user_metadata.size:[1 TO 20]",
            "user_metadata.size:>1",
            "user_metadata.theme:*",
            "name:*ce",
            "name:?a*",
        ] {
            assert!(Query::parse(query, &how).is_err_and(|refused| refused != Refused::syntax()), "{query}");
        }
    }

    #[test]
    fn rows_are_sorted_by_what_values_are() {
        let rows =
            json!([{"n": 10, "i": 0}, {"n": 9, "i": 1}, {"i": 2}, {"n": 9, "i": 3}, {"n": "a", "i": 4}]);
        let sorted = |order: &str| {
            let rows = rows.as_array().unwrap().iter().map(|row| ((), row.as_object().unwrap().clone()));
            let rows = sort(order, rows.collect(), |((), fields)| fields).unwrap();
            rows.iter().map(|(_, row)| row["i"].as_i64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(sorted("n:1"), [2, 1, 3, 0, 4]);
        assert_eq!(sorted("n:-1"), [4, 0, 1, 3, 2]);
        for wrong in ["n", "n:2", ":1", "user_metadata.theme:1"] {
            assert!(Order::parse(wrong, &how()).is_err(), "{wrong}");
        }
    }
}
