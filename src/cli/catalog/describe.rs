//! What can be said of a table by its description alone: the words that listing, JSON and the
//! reference page share.

use crate::catalog::{
    Call, Catalog, Class, Column, Each, Lifecycle, List, NewKey, Paging, Resource, ResourceKind, WriteCall,
};

/// So many values are told; of more, how many there are.
const FEW: usize = 12;

/// One thing that SQL can do with a table: a call, and the scopes of which any one allows it.
pub(super) struct Operation<'a> {
    /// `read`, `insert`, `update`, `delete`.
    pub(super) name: &'static str,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) scopes: &'a [String],
    /// Of a command: the rows that run this call.
    pub(super) when: Option<String>,
}

impl<'a> Operation<'a> {
    fn of(name: &'static str, call: &'a Call) -> Operation<'a> {
        Operation { name, method: &call.method, path: &call.path, scopes: &call.scopes, when: None }
    }
}

/// Every operation of a table: reading first, then writing.
pub(super) fn operations(resource: &Resource) -> Vec<Operation<'_>> {
    let lists = resource.list.iter().map(|list| Operation {
        name: "read",
        method: "GET",
        path: &list.path,
        scopes: &list.scopes,
        when: None,
    });
    let replaced = resource.replace.iter().flat_map(|replace| {
        let written = [("insert", true), ("update", resource.updates()), ("delete", true)];
        written.into_iter().filter(|(_, can)| *can).map(|(name, _)| Operation::of(name, &replace.call))
    });
    let commands = resource.command.iter().map(|command| {
        let rows = command.when.iter().map(|(column, value)| format!("{column} = '{value}'"));
        let when = rows.collect::<Vec<_>>().join(" and ");
        Operation {
            when: Some(when).filter(|when| !when.is_empty()),
            ..Operation::of("insert", &command.call)
        }
    });
    lists
        .chain(resource.get.iter().map(|get| Operation::of("read", get)))
        .chain(resource.create.iter().map(|create| Operation::of("insert", &create.call)))
        .chain(resource.update.iter().map(|update| Operation::of("update", update)))
        .chain(resource.delete.iter().map(|delete| Operation::of("delete", delete)))
        .chain(replaced)
        .chain(commands)
        .collect()
}

/// What SQL can do with a table.
#[derive(Clone, Copy)]
pub(super) struct Abilities {
    pub(super) insert: bool,
    /// Rows come from Auth0.
    pub(super) read: bool,
    pub(super) update: bool,
    pub(super) delete: bool,
}

impl Abilities {
    /// A view can what its table can.
    pub(super) fn of(catalog: &Catalog, resource: &Resource) -> Abilities {
        let of = resource.view.as_ref().and_then(|view| catalog.get(&view.of)).unwrap_or(resource);
        Abilities { insert: of.inserts(), read: of.is_read(), update: of.updates(), delete: of.deletes() }
    }

    /// `CRUD` with a dash for each letter that does not hold.
    pub(super) fn letters(self) -> String {
        let can = [('C', self.insert), ('R', self.read), ('U', self.update), ('D', self.delete)];
        can.into_iter().map(|(letter, can)| if can { letter } else { '-' }).collect()
    }
}

/// What a value must be, in short phrases; `all` values of an enumeration, or the first few.
pub(super) fn constraints(resource: &Resource, name: &str, column: &Column, all: bool) -> Vec<String> {
    let mut found = Vec::new();
    if resource.key.iter().any(|key| key == name) {
        found.push("key".to_owned());
    }
    if column.required {
        found.push("required".to_owned());
    }
    match column.only_on {
        Some(WriteCall::Create) if resource.updates() => found.push("on insert only".to_owned()),
        Some(WriteCall::Update) if resource.inserts() => found.push("on update only".to_owned()),
        _ => {}
    }
    if column.secret {
        found.push("secret, never stored".to_owned());
    }
    if !column.secret_keys.is_empty() {
        found.push(format!("secret keys, never stored: {}", column.secret_keys.join(", ")));
    }
    if !column.secret_paths.is_empty() {
        found.push(format!("secret inside, never stored: {}", column.secret_paths.join(", ")));
    }
    found.extend(column.references.iter().map(|table| format!("references {table}")));
    found.extend(column.format.map(|format| format!("format {}", format.as_str())));
    found.extend(column.min_length.map(|length| format!("at least {length} long")));
    found.extend(column.max_length.map(|length| format!("at most {length} long")));
    found.extend(column.minimum.map(|number| format!("at least {number}")));
    found.extend(column.maximum.map(|number| format!("at most {number}")));
    found.extend(column.min_items.map(|count| format!("at least {count} items")));
    found.extend(column.max_items.map(|count| format!("at most {count} items")));
    found.extend(column.max_properties.map(|count| format!("at most {count} keys")));
    found.extend(column.pattern.iter().map(|pattern| format!("matches {pattern}")));
    if !column.values.is_empty() {
        let shown = if all { column.values.len() } else { FEW };
        let rest = column.values.len().saturating_sub(shown);
        let values = column.values.iter().take(shown).map(String::as_str).collect::<Vec<_>>().join(", ");
        found.push(format!(
            "one of {values}{}",
            if rest > 0 { format!(" and {rest} more") } else { String::new() }
        ));
    }
    if column.merge.by_key() {
        found.push("changes key by key".to_owned());
    }
    found.extend(column.scope.iter().map(|scope| format!("shown with scope {scope}")));
    found
}

/// Who may write a column, and by which statement.
pub(super) fn writers(can: Abilities, column: &Column) -> &'static str {
    let (inserts, updates) = (can.insert, can.update);
    let (on_insert, on_update) = match column.only_on {
        _ if column.class == Class::ReadOnly => (false, false),
        _ if column.class == Class::CreateOnly => (inserts, false),
        Some(WriteCall::Create) => (inserts, false),
        Some(WriteCall::Update) => (false, updates),
        None => (inserts, updates),
    };
    match (on_insert, on_update) {
        (true, true) => "INSERT, UPDATE",
        (true, false) => "INSERT",
        (false, true) => "UPDATE",
        (false, false) => "Auth0",
    }
}

/// What is particular about a table, one sentence each; columns stand in backticks, tables in brackets
/// for [`mentions`].
pub(super) fn remarks(catalog: &Catalog, resource: &Resource) -> Vec<String> {
    let mut said = Vec::new();
    released(resource, &mut said);
    kind(catalog, resource, &mut said);
    if resource.is_read() {
        source(resource, &mut said);
    }
    if let Some(settling) = &resource.settling {
        let values = settling.values.join("` or `");
        said.push(format!(
            "While `{}` is `{values}`, Auth0 is still at work and the row is read again.",
            settling.column
        ));
    }
    if resource.keeps_rows {
        said.push("Rows that Auth0 shows no more stay.".to_owned());
    }
    if !resource.takes_along.is_empty() {
        said.push(format!(
            "A row that is deleted takes its rows of {} along.",
            tables(&resource.takes_along)
        ));
    }
    for (table, columns) in &resource.depends {
        said.push(format!("Needs its row of [{table}] ({}).", names(columns, "and")));
    }
    if !resource.apart.is_empty() {
        let groups: Vec<_> = resource.apart.iter().map(|group| names(group, "and")).collect();
        said.push(format!(
            "Auth0 takes these in calls of their own, which are made one after the other: {}.",
            groups.join("; ")
        ));
    }
    if !resource.changes.is_empty() {
        said.push(format!("Afterwards {} is read again.", tables(&resource.changes)));
    }
    impossible(resource, &mut said);
    said
}

/// A remark with every `[table]` shown in some way.
pub(super) fn mentions(catalog: &Catalog, remark: &str, show: impl Fn(&str) -> String) -> String {
    let mut shown = String::new();
    let mut rest = remark;
    while let Some((before, after)) = rest.split_once('[') {
        shown.push_str(before);
        match after.split_once(']') {
            Some((name, after)) if catalog.get(name).is_some() => {
                shown.push_str(&show(name));
                rest = after;
            }
            _ => {
                shown.push('[');
                rest = after;
            }
        }
    }
    shown + rest
}

fn enumerated(shown: &[String], word: &str) -> String {
    match shown {
        [one] => one.clone(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
        [] => String::new(),
    }
}

/// Columns or values.
fn names(names: &[String], word: &str) -> String {
    enumerated(&names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>(), word)
}

fn tables(names: &[String]) -> String {
    enumerated(&names.iter().map(|name| format!("[{name}]")).collect::<Vec<_>>(), "and")
}

fn released(resource: &Resource, said: &mut Vec<String>) {
    match resource.lifecycle {
        Lifecycle::Available => {}
        Lifecycle::EarlyAccess => {
            said.push("Early access: tenants that do not take part get a refusal.".to_owned())
        }
        Lifecycle::Beta => said
            .push("Beta: tenants that do not take part get a refusal, and it may still change.".to_owned()),
        Lifecycle::Ended if resource.refusal.is_some() => {}
        Lifecycle::Ended => said.push("Auth0 has ended it.".to_owned()),
    }
    if let Some(reason) = &resource.optional {
        said.push(format!("Mirrored only where the configuration names it. {reason}"));
    }
}

fn kind(catalog: &Catalog, resource: &Resource, said: &mut Vec<String>) {
    match resource.kind {
        ResourceKind::Singleton if resource.inserts() => said.push("One row, or none.".to_owned()),
        ResourceKind::Singleton => said.push("One row.".to_owned()),
        ResourceKind::Association if resource.replace.is_some() => {
            said.push("Auth0 takes the whole list at once: it is read, changed and sent.".to_owned());
            if let Some(order) = resource.replace.as_ref().and_then(|replace| replace.order.as_ref()) {
                said.push(format!("`{order}` is the place in the list, from 0."));
            }
        }
        ResourceKind::Command => {
            let answer: Vec<String> = answered(resource).map(str::to_owned).collect();
            let beside = if answer.is_empty() {
                String::new()
            } else {
                format!("{}, ", names(&answer, "and").replace(" and ", ", "))
            };
            said.push(format!(
                "An INSERT runs it once; Auth0's answer fills {beside}`state`, `error` and `answered_at`."
            ));
        }
        ResourceKind::Watch => {
            let uses = |other: &&Resource| {
                other.list.iter().any(|list| list.parent.as_ref() == Some(&resource.table))
            };
            let fed: Vec<String> = catalog.iter().filter(uses).map(|other| other.table.clone()).collect();
            said.push(format!("Keys that you insert are never sent; {} is read by them.", tables(&fed)));
        }
        ResourceKind::View => {
            if let Some(view) = &resource.view {
                let only = view.has.iter().map(|column| format!(" where `{column}` is set"));
                said.push(format!(
                    "A view of [{}]{}; what is written to it is written there.",
                    view.of,
                    only.collect::<String>()
                ));
            }
        }
        ResourceKind::Association | ResourceKind::Collection | ResourceKind::Retired => {}
    }
    said.extend(resource.refusal.clone());
}

/// Columns of a command that its answer fills.
pub(super) fn answered(resource: &Resource) -> impl Iterator<Item = &str> {
    const COMMON: [&str; 4] = ["state", "error", "requested_at", "answered_at"];
    let filled = resource.columns.iter().filter(|(_, column)| column.class == Class::ReadOnly);
    filled.map(|(name, _)| name.as_str()).filter(|name| !COMMON.contains(name))
}

/// Where the rows come from, if not from a list of the whole tenant.
fn source(resource: &Resource, said: &mut Vec<String>) {
    let Some(list) = resource.list.first() else {
        if resource.kind != ResourceKind::Singleton {
            said.push(unlisted(resource));
        }
        return;
    };
    let mut ways: Vec<String> = list.parent.iter().map(|parent| parents(list, parent)).collect();
    ways.extend(list.each.iter().map(|(column, each)| match each {
        Each::Values(values) if values.len() > FEW => format!("`{column}` ({} of them)", values.len()),
        Each::Values(values) => format!("`{column}` ({})", values.join(", ")),
        Each::Of { table, column: of } => format!("`{column}` that [{table}] has in `{of}`"),
    }));
    if !ways.is_empty() {
        let alone = list.paging == Paging::Single && list.placeholders().count() == resource.key.len();
        let how = if alone { "At most one for" } else { "Read with one call for" };
        said.push(format!("{how} each {}.", ways.join(" and each ")));
    }
    if let (Some(cap), None) = (list.cap, &list.slice_by) {
        said.push(format!("Auth0 lists at most {cap}."));
    }
}

/// The rows of a parent that have a list.
fn parents(list: &List, parent: &str) -> String {
    let only =
        list.only.iter().map(|(column, values)| format!("whose `{column}` is {}", names(values, "or")));
    let only: Vec<_> = only.collect();
    if only.is_empty() {
        format!("row of [{parent}]")
    } else {
        format!("row of [{parent}] {}", only.join(" and "))
    }
}

fn unlisted(resource: &Resource) -> String {
    let ways = [(resource.inserts(), "is inserted here"), (!resource.log.is_empty(), "the tenant log names")];
    let known: Vec<_> = ways.iter().filter(|(known, _)| *known).map(|(_, way)| *way).collect();
    match known.as_slice() {
        [] => "Auth0 has no list of them.".to_owned(),
        known => format!("Auth0 has no list of them; the table has what {}.", known.join(" and what ")),
    }
}

/// What Auth0 has no call for.
fn impossible(resource: &Resource, said: &mut Vec<String>) {
    if !resource.kind.is_read() || resource.lifecycle == Lifecycle::Ended {
        return;
    }
    let can =
        [("INSERT", resource.inserts()), ("UPDATE", resource.updates()), ("DELETE", resource.deletes())];
    let cannot: Vec<_> = can.iter().filter(|(_, can)| !can).map(|(word, _)| *word).collect();
    // Links have nothing to update, and the one row of a singleton is there by itself.
    let quiet = match resource.kind {
        ResourceKind::Association => cannot == ["UPDATE"],
        ResourceKind::Singleton => cannot == ["INSERT", "DELETE"],
        _ => false,
    };
    match cannot.as_slice() {
        [] => {}
        _ if quiet => {}
        [_, _, _] => said.push("Read-only: Auth0 has no call that writes it.".to_owned()),
        some => said.push(format!("No {}: Auth0 has no such call.", some.join(", no "))),
    }
}

/// An INSERT that runs a command or adds a key, with made-up values.
pub(super) fn example(resource: &Resource) -> String {
    let in_path = |name: &str| {
        resource
            .command
            .iter()
            .any(|command| crate::catalog::placeholders(&command.call.path).any(|p| p == name))
    };
    let first = resource.command.first();
    let chooses = |name: &str| first.is_some_and(|command| command.when.contains_key(name));
    let is_key = |name: &String| resource.kind == ResourceKind::Watch && resource.key.contains(name);
    let can_give = || resource.columns.iter().filter(|(_, column)| column.class != Class::ReadOnly);
    let asked = |(name, column): &(&String, &Column)| column.required || in_path(name) || is_key(name);
    // Where nothing is required of every row, it is about something all the same.
    let about = if can_give().any(|column| asked(&column) && !chooses(column.0)) {
        None
    } else {
        can_give().find(|(_, column)| column.references.is_some()).map(|(name, _)| name)
    };
    let given = can_give().filter(|column| asked(column) || chooses(column.0) || Some(column.0) == about);
    let given: Vec<_> = given.map(|(name, column)| (name.as_str(), value(first, name, column))).collect();
    let table = &resource.table;
    if given.is_empty() {
        return format!("insert into auth0.{table} default values returning {};", resource.key.join(", "));
    }
    let columns: Vec<_> = given.iter().map(|(name, _)| *name).collect();
    let values: Vec<_> = given.iter().map(|(_, value)| value.as_str()).collect();
    let end = match resource.new_key {
        NewKey::Given => String::new(),
        _ => format!(" returning {}", resource.key.join(", ")),
    };
    format!("insert into auth0.{table} ({}) values ({}){end};", columns.join(", "), values.join(", "))
}

fn value(command: Option<&crate::catalog::Command>, name: &str, column: &Column) -> String {
    use crate::catalog::{ColumnType, JsonShape};
    let fixed = command.and_then(|command| command.when.get(name)).or(column.values.first());
    match column.kind {
        ColumnType::Text => format!("'{}'", fixed.map_or("…", String::as_str)),
        ColumnType::Boolean => "true".to_owned(),
        ColumnType::Bigint | ColumnType::Double => column.minimum.unwrap_or(1.0).to_string(),
        ColumnType::Timestamptz => "now()".to_owned(),
        ColumnType::TextArray => format!("array['{}']", fixed.map_or("…", String::as_str)),
        ColumnType::Jsonb if column.json == Some(JsonShape::Array) => "'[…]'".to_owned(),
        ColumnType::Jsonb => "'{…}'".to_owned(),
    }
}
