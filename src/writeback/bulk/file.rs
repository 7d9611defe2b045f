//! The file of an import, pure: which rows it takes, and what it says of them.

use serde_json::Value;

use crate::catalog::{Bulk, Call, NewKey, Resource, WriteCall};
use crate::pg::mirror::Row;
use crate::writeback::body;
use crate::writeback::lanes::Work;
use crate::writeback::request::{Content, values};

/// A file in the making.
#[derive(Debug)]
pub(super) struct File<'r> {
    resource: &'r Resource,
    bulk: &'r Bulk,
    create: &'r Call,
    /// To what all its rows belong.
    pub(super) home: Option<String>,
    text: String,
    rows: usize,
}

/// What becomes of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is in the file.
    Taken,
    /// It fits another file: this one is full, or of another home.
    Another,
    /// An import does not take it, or does less than a call of its own: why.
    Unfit(String),
}

impl<'r> File<'r> {
    /// An empty file; none where rows of the resource are not imported.
    pub(super) fn new(resource: &'r Resource) -> Option<File<'r>> {
        let (bulk, create) = (resource.bulk.as_ref()?, &resource.create.as_ref()?.call);
        Some(File { resource, bulk, create, home: None, text: String::from("["), rows: 0 })
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Puts a row into it; `wanted` says that its client has asked for an import.
    pub(super) fn put(&mut self, content: &Content, wanted: bool) -> Place {
        let row = match self.row(content, wanted) {
            Ok(row) => row,
            Err(why) => return Place::Unfit(why),
        };
        let home = values(content).get(&self.bulk.home.column).and_then(Value::as_str).map(str::to_owned);
        let Some(home) = home else {
            return Place::Unfit(format!("{} is missing", self.bulk.home.column));
        };
        if self.home.as_ref().is_some_and(|there| *there != home) {
            return Place::Another;
        }
        let line = row.to_string();
        // Two brackets, a comma, and the row.
        if self.text.len() + line.len() + 2 > self.bulk.most_bytes {
            return match self.rows {
                0 => Place::Unfit("the row alone is longer than a file may be".to_owned()),
                _ => Place::Another,
            };
        }
        if self.rows > 0 {
            self.text.push(',');
        }
        self.text.push_str(&line);
        self.home = Some(home);
        self.rows += 1;
        Place::Taken
    }

    /// The whole file.
    pub(super) fn text(&self) -> String {
        format!("{}]", self.text)
    }

    /// The row as the file carries it, or why it cannot go so.
    fn row(&self, content: &Content, wanted: bool) -> Result<Value, String> {
        let given = values(content);
        if let Some(missing) = self.bulk.required.iter().find(|name| is_null(&given, name)) {
            return Err(format!("an import takes no row without {missing}"));
        }
        if let NewKey::Client { prefix, .. } = &self.resource.new_key {
            let strange = |name: &&String| {
                given.get(*name).and_then(Value::as_str).is_none_or(|key| !key.starts_with(prefix.as_str()))
            };
            if let Some(name) = self.resource.key.iter().find(strange) {
                return Err(format!("an import makes every {name} begin with {prefix}"));
            }
        }
        let quiet = |held: &indexmap::IndexMap<String, toml::Value>| {
            held.iter().all(|(name, value)| given.get(name) == serde_json::to_value(value).ok().as_ref())
        };
        if !wanted && !self.bulk.same_where.is_empty() && !self.bulk.same_where.iter().any(quiet) {
            return Err("a call of its own does more".to_owned());
        }
        let mut row = body::of_row(self.resource, self.create, content, None, WriteCall::Create);
        let fields: Vec<&str> =
            self.bulk.columns.iter().map(|name| self.resource.write_field(name)).collect();
        let decides = |name: &str| self.bulk.same_where.iter().any(|held| held.contains_key(name));
        let beside = |name: &str| name == self.bulk.home.column || decides(name);
        let other = self.resource.columns.keys().find(|name| {
            let field = self.resource.write_field(name);
            row.get(field).is_some_and(|value| !value.is_null()) && !fields.contains(&field) && !beside(name)
        });
        if let Some(other) = other {
            return Err(format!("an import does not take {other}"));
        }
        if let Some(row) = row.as_object_mut() {
            row.retain(|field, _| fields.contains(&field.as_str()));
        }
        Ok(row)
    }
}

/// The row's name in the file, by which errors name it.
pub(super) fn name_of(resource: &Resource, work: &Work) -> Option<String> {
    let key = work.node.1.0.last()?;
    match &resource.new_key {
        NewKey::Client { prefix, strip_prefix: true } => {
            Some(key.strip_prefix(prefix.as_str()).unwrap_or(key).to_owned())
        }
        _ => Some(key.clone()),
    }
}

fn is_null(row: &Row, column: &str) -> bool {
    row.get(column).is_none_or(Value::is_null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::pg::mirror::Operation;
    use serde_json::{Map, json};

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn content(after: Value, write_only: Value) -> Content {
        Content {
            operation: Operation::Insert,
            key: object(json!({"user_id": after["user_id"]})),
            after: object(after),
            before: Map::new(),
            write_only: object(write_only),
        }
    }

    fn ada(id: &str) -> Value {
        json!({"user_id": id, "email": "ada@example.com", "email_verified": true, "blocked": null})
    }

    fn home(name: &str) -> Value {
        json!({"connection": name})
    }

    #[test]
    fn a_file_has_what_an_import_takes_of_rows_of_one_home() {
        let catalog = Catalog::bundled().unwrap();
        let resource = catalog.iter().find(|resource| resource.bulk.is_some()).unwrap();
        let mut file = File::new(resource).unwrap();
        assert_eq!(file.put(&content(ada("auth0|1"), home("One")), false), Place::Taken);
        assert_eq!(file.put(&content(ada("auth0|2"), home("Two")), false), Place::Another);
        let mut quiet = ada("auth0|3");
        quiet["email_verified"] = json!(false);
        let with = json!({"connection": "One", "verify_email": false});
        assert_eq!(file.put(&content(quiet.clone(), with), false), Place::Taken);
        let file_of_two: Value = serde_json::from_str(&file.text()).unwrap();
        let expected = json!([
            {"user_id": "1", "email": "ada@example.com", "email_verified": true},
            {"user_id": "3", "email": "ada@example.com", "email_verified": false},
        ]);
        assert_eq!(file_of_two, expected);

        let unfit = |file: &mut File<'_>, after: Value, aside: Value, wanted| {
            matches!(file.put(&content(after, aside), wanted), Place::Unfit(_))
        };
        assert!(unfit(&mut file, quiet.clone(), home("One"), false), "a call of its own sends an e-mail");
        assert!(!unfit(&mut file, quiet, home("One"), true), "its client wants it all the same");
        let secret = json!({"connection": "One", "password": "secret"});
        assert!(unfit(&mut file, ada("auth0|4"), secret, true));
        assert!(unfit(&mut file, ada("sms|5"), home("One"), true));
        assert!(unfit(&mut file, json!({"user_id": "auth0|6", "email_verified": true}), home("One"), true));
        assert!(unfit(&mut file, ada("auth0|7"), json!({}), true));
    }

    #[test]
    fn a_file_ends_before_it_is_too_long() {
        let catalog = Catalog::bundled().unwrap();
        let resource = catalog.iter().find(|resource| resource.bulk.is_some()).unwrap();
        let most = resource.bulk.as_ref().unwrap().most_bytes;
        let mut file = File::new(resource).unwrap();
        let mut long = ada("auth0|1");
        long["name"] = "n".repeat(most).into();
        assert!(matches!(file.put(&content(long.clone(), home("One")), false), Place::Unfit(_)));
        long["name"] = "n".repeat(100_000).into();
        let taken =
            (0..10).take_while(|_| file.put(&content(long.clone(), home("One")), false) == Place::Taken);
        assert_eq!(taken.count(), 4);
        assert!(file.rows() == 4 && file.text().len() <= most);
    }
}
