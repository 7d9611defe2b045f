//! What a tenant log entry says to read again, pure. A `sapi` entry names a call of the Management
//! API; other types name a row by fields that the catalogue knows.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::hinted::hinted;
use crate::catalog::{
    Call, Catalog, List, NewKey, Paging, Resource, ResourceKind, RowKey, Target, Touch, path_matches,
    placeholder, placeholders,
};
use crate::pg::mirror::{Row, row_from_answer};

/// Targets of one log entry; empty for what the mirror does not show. Of writes that are `ours` the rows
/// themselves are known; what else they change is not.
pub(super) fn targets(catalog: &Catalog, entry: &Value, ours: bool) -> Vec<Target> {
    let kind = entry.get("type").and_then(Value::as_str).unwrap_or_default();
    let found = match Made::read(entry) {
        _ if kind != "sapi" => {
            catalog.iter().flat_map(|resource| hinted(catalog, resource, kind, entry)).collect()
        }
        Some(made) => {
            let mut found = if ours { Vec::new() } else { made.named(catalog) };
            found.extend(made.along(catalog, ours));
            found
        }
        None => Vec::new(),
    };
    let mut met = HashSet::new();
    found.into_iter().filter(|target| met.insert(target.clone())).collect()
}

/// The correlation id of the call that an entry tells of, where this service has made it.
pub(super) fn own_call<'e>(entry: &'e Value, instance: &str) -> Option<&'e str> {
    let correlation = entry.pointer("/references/correlation_id").and_then(Value::as_str);
    correlation.filter(|id| id.starts_with(instance))
}

/// The row with these values, or the narrowest list that they name; none where they name neither.
pub(super) fn row_or_set(catalog: &Catalog, resource: &Resource, values: &Row) -> Option<Target> {
    match RowKey::of(resource, values) {
        Some(key) => Target::row(catalog, &resource.table, key),
        None => Target::narrowest(catalog, resource, values),
    }
    .filter(|target| !matches!(target, Target::Table { .. }))
}

/// A call that somebody made.
struct Made<'a> {
    method: &'a str,
    /// Below `/api/v2`, without its query.
    path: &'a str,
    query: Map<String, Value>,
    body: &'a Value,
    answer: &'a Value,
}

impl<'a> Made<'a> {
    fn read(entry: &'a Value) -> Option<Made<'a>> {
        let text = |pointer| entry.pointer(pointer).and_then(Value::as_str);
        let whole = text("/details/request/path")?.strip_prefix("/api/v2")?;
        let (path, search) = whole.split_once('?').unwrap_or((whole, ""));
        let mut query: Map<String, Value> = url::form_urlencoded::parse(search.as_bytes())
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
            .collect();
        if let Some(asked) = entry.pointer("/details/request/query").and_then(Value::as_object) {
            query.extend(asked.clone());
        }
        let method = text("/details/request/method").unwrap_or_default();
        Some(Made {
            method,
            path,
            query,
            body: entry.pointer("/details/request/body").unwrap_or(&Value::Null),
            answer: entry.pointer("/details/response/body").unwrap_or(&Value::Null),
        })
    }

    /// What the call says of itself: rows and lists that its path names, else the row that its path
    /// starts with, else tables that have their list there.
    fn named(&self, catalog: &Catalog) -> Vec<Target> {
        let read = || catalog.iter().filter(|resource| resource.is_read());
        let exact: Vec<_> = read().filter_map(|resource| self.called(catalog, resource)).collect();
        // `/things/default` is not the thing whose key is `default`.
        if let Some(fewest) = exact.iter().map(|(open, _)| *open).min() {
            return exact.into_iter().filter(|(open, _)| *open == fewest).map(|(_, target)| target).collect();
        }
        let above = read().filter_map(|resource| self.above(resource)).max_by_key(|(length, _)| *length);
        if let Some((_, target)) = above {
            return vec![target];
        }
        let fixed = |path: &str| path.split("/{").next().unwrap_or_default().to_owned();
        let here = read().filter(|resource| resource.list.iter().any(|list| fixed(&list.path) == self.path));
        here.map(|resource| Target::Table { table: resource.table.clone() }).collect()
    }

    /// What a call of this resource changed, with the number of placeholders in its path.
    fn called(&self, catalog: &Catalog, resource: &Resource) -> Option<(usize, Target)> {
        if let Some(create) = &resource.create
            && let Some(values) = self.matches(&create.call, true)
        {
            let mut row = row_from_answer(resource, self.answer);
            row.extend(values.clone());
            let made = RowKey::of(resource, &row).and_then(|key| Target::row(catalog, &resource.table, key));
            let target = made.or_else(|| Target::narrowest(catalog, resource, &values))?;
            return Some((placeholders(&create.call.path).count(), target));
        }
        let row = [resource.update.as_ref(), resource.delete.as_ref(), resource.get.as_ref()];
        let replace = resource.replace.as_ref().map(|replace| &replace.call);
        for call in row.into_iter().flatten().chain(replace) {
            let Some(values) = self.matches(call, false) else { continue };
            let key = match &resource.new_key {
                NewKey::Fixed { value } => Some(RowKey::single(value.clone())),
                _ => RowKey::of(resource, &values),
            };
            // A collection's own path is told apart below: what it lists may be one row of it.
            if key.is_some() || !values.is_empty() {
                let target = match key {
                    Some(key) => Target::row(catalog, &resource.table, key),
                    None => Target::narrowest(catalog, resource, &values),
                }?;
                return Some((placeholders(&call.path).count(), target));
            }
        }
        for (n, list) in resource.list.iter().enumerate() {
            let Some(mut values) = path_matches(&list.path, self.path) else { continue };
            for (name, template) in &list.query {
                if let (Some(column), Some(value)) = (placeholder(template), self.query.get(name)) {
                    values.insert(column.to_owned(), value.clone());
                }
            }
            let set = Target::set(resource, n, &values).filter(|_| !list.names().is_empty());
            let target = set.or_else(|| Target::narrowest(catalog, resource, &values))?;
            return Some((placeholders(&list.path).count(), target));
        }
        None
    }

    /// The values of a call's placeholders, where this is that call.
    fn matches(&self, call: &Call, same_method: bool) -> Option<Row> {
        if same_method && !self.method.eq_ignore_ascii_case(&call.method) {
            return None;
        }
        let mut values = path_matches(&call.path, self.path)?;
        for (name, template) in &call.query {
            if let Some(column) = placeholder(template) {
                values.insert(column.to_owned(), self.query.get(name)?.clone());
            }
        }
        Some(values)
    }

    /// The row whose path starts this one, with the length of that: a part of it that has no table
    /// of its own was changed.
    fn above(&self, resource: &Resource) -> Option<(usize, Target)> {
        let template = &resource.get.as_ref()?.path;
        let length = template.split('/').count();
        let segments: Vec<_> = self.path.split('/').collect();
        let start = segments.get(..length)?.join("/");
        if segments.len() == length {
            return None;
        }
        let key = RowKey::of(resource, &path_matches(template, &start)?)?;
        Some((length, Target::Row { table: resource.table.clone(), key }))
    }

    /// What Auth0 changes along with the row that the call writes, or with the command that it runs.
    fn along(&self, catalog: &Catalog, ours: bool) -> Vec<Target> {
        let changing = catalog.iter().filter(|resource| !resource.changes.is_empty());
        // Our own commands have asked for theirs when they were answered.
        let changing = changing.filter(|resource| !ours || resource.kind != ResourceKind::Command);
        let found = changing.flat_map(|resource| {
            let call = writes(resource).find_map(|call| self.matches(call, true));
            let values = call.map(|values| {
                let mut row = row_from_answer(resource, self.answer);
                row.extend(values);
                row
            });
            let tables = values.iter().flat_map(|row| resource.changes.iter().map(move |table| (row, table)));
            let found = tables.filter_map(|(row, table)| Target::changed(catalog, resource, row, table));
            found.collect::<Vec<_>>()
        });
        let mut found: Vec<_> = found.collect();
        if !ours {
            // Our own writes have asked for these when they were answered.
            found.extend(catalog.iter().flat_map(|resource| self.touched(catalog, resource)));
        }
        found.extend(catalog.iter().filter_map(|resource| self.whole_of(catalog, resource)));
        if ours {
            found.extend(self.born(catalog));
        }
        found
    }

    /// Rows of other tables that the call changes too, by its path and its body.
    fn touched(&self, catalog: &Catalog, resource: &Resource) -> Vec<Target> {
        if resource.touches.is_empty() {
            return Vec::new();
        }
        let values = writes(resource).find_map(|call| {
            let mut values = self.matches(call, true)?;
            for (field, template) in call.body.iter().filter_map(toml::Value::as_table).flatten() {
                if let (Some(column), Some(value)) =
                    (template.as_str().and_then(placeholder), self.body.get(field))
                {
                    values.entry(column.to_owned()).or_insert_with(|| value.clone());
                }
            }
            Some(values)
        });
        let Some(values) = values else { return Vec::new() };
        let row = |touch: &Touch| {
            let key = RowKey::of(catalog.get(&touch.table)?, &touch.key_of(&values)?)?;
            Target::row(catalog, &touch.table, key)
        };
        resource.touches.iter().filter_map(row).collect()
    }

    /// The row of which the call changes a part that is a table of its own (an array of its fields).
    fn whole_of(&self, catalog: &Catalog, part: &Resource) -> Option<Target> {
        let list = part.list.iter().find(|list| list.array.is_some() && list.path.ends_with('}'))?;
        let whole = catalog.get(list.parent.as_deref()?).filter(|whole| whole.get.is_some())?;
        let values = writes(part).find_map(|call| self.matches(call, true))?;
        let pairs = list.supplied(whole).into_iter();
        let key = pairs.map(|(name, column)| Some((column.to_owned(), values.get(name)?.clone())));
        Target::row(catalog, &whole.table, RowKey::of(whole, &key.collect::<Option<Row>>()?)?)
    }

    /// What comes into being below a row that we have created, and that nobody creates: one for each.
    fn born(&self, catalog: &Catalog) -> Vec<Target> {
        let made = catalog.iter().filter(|resource| resource.is_read()).find_map(|resource| {
            let mut row = self.matches(&resource.create.as_ref()?.call, true)?;
            row.extend(row_from_answer(resource, self.answer));
            Some((resource, row))
        });
        let Some((parent, row)) = made else { return Vec::new() };
        let is_born = |other: &&Resource| {
            let of =
                |list: &List| list.parent.as_ref() == Some(&parent.table) && list.paging == Paging::Single;
            other.is_read() && other.create.is_none() && other.list.iter().any(of)
        };
        let found = catalog.iter().filter(is_born);
        found.filter_map(|other| Target::changed(catalog, parent, &row, &other.table)).collect()
    }
}

fn writes(resource: &Resource) -> impl Iterator<Item = &Call> {
    let create = resource.create.iter().map(|create| &create.call);
    let replace = resource.replace.iter().map(|replace| &replace.call);
    let row = resource.update.iter().chain(&resource.delete);
    create.chain(replace).chain(row).chain(resource.command.iter().map(|command| &command.call))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sapi(method: &str, path: &str, answer: Value) -> Value {
        json!({"type": "sapi", "details": {"request": {"method": method, "path": path}, "response": {"body": answer}},
               "references": {"correlation_id": "somebody"}})
    }

    fn found(entry: &Value) -> Vec<Target> {
        targets(&Catalog::bundled().unwrap(), entry, own_call(entry, "mine").is_some())
    }

    fn row(table: &str, key: &str) -> Target {
        Target::Row { table: table.into(), key: RowKey::single(key) }
    }

    #[test]
    fn calls_name_rows_sets_and_parents() {
        let below =
            |table: &str| Target::Set { table: table.into(), list: 0, parent: vec!["auth0|1".into()] };
        assert_eq!(
            found(&sapi("patch", "/api/v2/users/auth0%7C1", json!({}))),
            [row("user", "auth0|1"), below("user_identity"), below("user_multifactor")]
        );
        assert_eq!(found(&sapi("post", "/api/v2/roles", json!({"id": "rol_1"}))), [row("role", "rol_1")]);
        assert_eq!(found(&sapi("patch", "/api/v2/tenants/settings", json!({}))), [row("tenant", "tenant")]);
        assert_eq!(
            found(&sapi("post", "/api/v2/users/auth0%7C1/identities", json!([]))),
            [below("user_identity"), row("user", "auth0|1")]
        );
        let roles = Target::Set { table: "user_role".into(), list: 1, parent: vec!["auth0|1".into()] };
        assert_eq!(found(&sapi("delete", "/api/v2/users/auth0%7C1/roles", Value::Null)), [roles]);
        assert_eq!(found(&sapi("post", "/api/v2/elsewhere", json!({}))), []);
    }

    #[test]
    fn a_link_made_by_others_names_both_users() {
        let mut entry = sapi("post", "/api/v2/users/auth0%7C1/identities", json!([]));
        entry["details"]["request"]["body"] = json!({"provider": "auth0", "user_id": "2"});
        let found = found(&entry);
        assert!(found.contains(&row("user", "auth0|1")), "{found:?}");
        assert!(found.contains(&row("user", "auth0|2")), "the user who is taken in goes: {found:?}");
    }

    #[test]
    fn every_write_that_the_catalogue_knows_names_what_it_changes() {
        let catalog = Catalog::bundled().unwrap();
        let mut missed = Vec::new();
        for resource in catalog.iter().filter(|resource| resource.is_read()) {
            for call in writes(resource) {
                let values =
                    Map::from_iter(placeholders(&call.path).map(|name| (name.to_owned(), json!("x1"))));
                let mut path = crate::catalog::fill_path(&call.path, &values).unwrap();
                let query: Vec<_> = call
                    .query
                    .iter()
                    .map(|(name, value)| format!("{name}={}", value.replace(['{', '}'], "")))
                    .collect();
                if !query.is_empty() {
                    path = format!("{path}?{}", query.join("&"));
                }
                let answer: Map<String, Value> = resource
                    .columns
                    .keys()
                    .map(|name| (resource.field(name).to_owned(), json!("x1")))
                    .collect();
                let entry = sapi(&call.method, &format!("/api/v2{path}"), Value::Object(answer));
                let named = targets(&catalog, &entry, false);
                // Two tables may share a call: the row is in one of them, and that table's change leads to the other.
                if !named.iter().any(|target| target.table() == resource.table) {
                    missed.push(format!("{} {} of {}: {named:?}", call.method, call.path, resource.table));
                }
            }
        }
        assert!(missed.is_empty(), "{}", missed.join("\n"));
    }

    #[test]
    fn our_own_writes_name_nothing() {
        let mut entry = sapi("patch", "/api/v2/users/auth0%7C1", json!({}));
        entry["references"]["correlation_id"] = json!("mine-1");
        assert_eq!(found(&entry), []);
    }

    #[test]
    fn a_login_names_the_user_and_what_lists_go_by_it() {
        let below =
            |table: &str| Target::Set { table: table.into(), list: 0, parent: vec!["auth0|1".into()] };
        let login = found(&json!({"type": "s", "user_id": "auth0|1"}));
        assert_eq!(login, [row("user", "auth0|1"), below("refresh_token"), below("session")]);
        assert_eq!(found(&json!({"type": "s"})), []);
    }
}
