//! What `plan()` has to know of the catalogue: the calls that changes of a table make. Writeback builds
//! its requests from the catalogue itself; a test holds the two together.

use serde_json::{Map, Value, json};

use super::{Access, Function, Site, by_table};
use crate::catalog::{Call, Catalog, Class, Merge, NewKey, Resource, ResourceKind, WriteCall, placeholders};

/// A function that returns the calls of a table by operation; see [`calls`].
pub(super) fn calls_of(site: &Site<'_>, catalog: &Catalog) -> Function {
    let tables: Map<String, Value> = catalog
        .iter()
        .filter(|resource| resource.is_table() && resource.kind != ResourceKind::Watch)
        .map(|resource| (resource.table.clone(), calls(resource)))
        .collect();
    by_table(site, "_calls_of", tables, Access::Nobody)
}

/// For each operation an array of calls, of which the first fits whose `when` the row fulfils. `fields`
/// maps columns to their names in the body, `reads` counts the calls that go before and after. Of columns
/// that are set aside those in `open` may be shown.
fn calls(resource: &Resource) -> Value {
    let keys = resource.columns.iter().filter(|(_, column)| column.merge.by_key());
    let read_keys = resource.columns.iter().filter(|(_, column)| column.merge == Merge::ReadKeys);
    let open =
        resource.columns.iter().filter(|(_, column)| column.class == Class::WriteOnly && !column.secret);
    let mut about = json!({
        "open": open.map(|(name, _)| name).collect::<Vec<_>>(),
        "keys": keys.map(|(name, _)| name).collect::<Vec<_>>(),
        "read_keys": read_keys.map(|(name, _)| name).collect::<Vec<_>>(),
        "apart": resource.apart,
        "apart_with": resource.apart_with,
    });
    if let NewKey::Client { prefix, strip_prefix: true } = &resource.new_key {
        about["prefix"] = json!({ "column": resource.made_column(), "text": prefix });
    }
    let reread = usize::from(resource.reread);
    if resource.kind == ResourceKind::Command {
        let calls = resource.command.iter().map(|command| {
            let mut one = call(resource, &command.call, None, 0);
            one["when"] = json!(command.when);
            // What chooses the call is not sent, and a call without inputs has no body.
            if let Some(fields) = one["fields"].as_object_mut() {
                fields.retain(|name, _| !command.when.contains_key(name));
                if fields.is_empty() {
                    one["fields"] = Value::Null;
                }
            }
            one
        });
        put(&mut about, "INSERT", calls.collect());
        return about;
    }
    if let Some(replace) = &resource.replace {
        for operation in ["INSERT", "UPDATE", "DELETE"] {
            let mut one = call(resource, &replace.call, None, 1);
            one["template"] = json!(replace.item);
            put(&mut about, operation, vec![one]);
        }
        return about;
    }
    if let Some(create) = &resource.create {
        put(&mut about, "INSERT", vec![call(resource, &create.call, Some(WriteCall::Create), reread)]);
    }
    if let Some(bulk) = &resource.bulk {
        let beside = bulk.same_where.iter().flat_map(|held| held.keys()).chain([&bulk.home.column]);
        about["bulk"] = json!({
            "method": bulk.start.method,
            "path": bulk.start.path,
            "columns": bulk.columns,
            "required": bulk.required,
            "same_where": bulk.same_where,
            "beside": beside.collect::<Vec<_>>(),
            "home": bulk.home.column,
            "most_bytes": bulk.most_bytes,
            "at_a_time": bulk.at_a_time,
            "least": bulk.worth.least,
            "many": bulk.worth.many,
            "seconds": bulk.worth.seconds,
        });
    }
    if let Some(update) = &resource.update {
        let whole = update.replaces() && update.body.is_none() && resource.whole.is_none();
        put(
            &mut about,
            "UPDATE",
            vec![call(resource, update, Some(WriteCall::Update), reread + usize::from(whole))],
        );
    }
    if let Some(delete) = &resource.delete {
        let mut one = call(resource, delete, None, 0);
        if let Some(one) = one.as_object_mut() {
            one.shift_remove("fields");
        }
        put(&mut about, "DELETE", vec![one]);
    }
    about
}

fn put(about: &mut Value, operation: &str, calls: Vec<Value>) {
    about[operation] = Value::Array(calls);
}

fn call(resource: &Resource, call: &Call, write: Option<WriteCall>, reads: usize) -> Value {
    let outside = |name: &str| {
        placeholders(&call.path).any(|other| other == name)
            || call.query.values().any(|value| value == &format!("{{{name}}}"))
    };
    let taken = resource.columns.iter().filter(|(name, column)| {
        let allowed = match (column.class, write) {
            (Class::ReadOnly, _) | (Class::CreateOnly, Some(WriteCall::Update)) => false,
            _ => column.only_on.is_none() || write.is_none() || column.only_on == write,
        };
        let own_key = write.is_none() && resource.key.contains(name);
        allowed && !own_key && !outside(name)
    });
    let fields: Map<String, Value> =
        taken.map(|(name, _)| (name.clone(), json!(resource.write_field(name)))).collect();
    let mut one = json!({
        "method": call.method,
        "path": call.path,
        "query": call.query,
        "fields": fields,
        "reads": reads,
    });
    if let Some(template) = &call.body {
        one["template"] = json!(template);
    } else if let (Some(whole), Some(_)) = (&resource.whole, write) {
        one["whole"] = json!(whole);
    }
    one
}
