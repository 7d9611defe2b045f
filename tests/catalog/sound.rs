//! What every file of the catalogue must keep besides what reading it checks: texts that are sentences,
//! nothing left of a draft, and no contradiction that only a user would meet.

use std::{collections::BTreeSet, fs, path::Path};

use auth0_sync::catalog::{Call, Catalog, Class, Column, Recognise, Resource, ResourceKind, WriteCall};

/// Words of drafts.
const LEFTOVERS: [&str; 6] = ["TODO", "# OAS:", "# SPECIAL:", "# check", "format dropped", "pattern dropped"];

fn is_sentence(text: &str) -> bool {
    text.ends_with('.') && text.starts_with(|first: char| first.is_uppercase() || first == '`')
}

/// What is wrong with a table's texts.
fn texts(resource: &Resource) -> Vec<String> {
    let columns = resource.columns.iter().map(|(name, column)| (name.as_str(), column.comment.as_str()));
    let table = [
        ("comment", Some(&resource.comment)),
        ("optional", resource.optional.as_ref()),
        ("refusal", resource.refusal.as_ref()),
    ];
    let table = table.into_iter().filter_map(|(name, text)| Some((name, text?.as_str())));
    columns
        .chain(table)
        .filter(|(_, text)| !is_sentence(text))
        .map(|(name, text)| format!("{name} is no sentence: {text}"))
        .collect()
}

/// What is wrong with a table's calls.
fn calls(resource: &Resource) -> Vec<String> {
    let mut found = Vec::new();
    let lists = resource.list.iter().map(|list| (&list.path, &list.scopes));
    for (path, scopes) in lists.chain(resource.calls().map(|call| (&call.path, &call.scopes))) {
        if scopes.is_empty() {
            found.push(format!("{path} needs no scope"));
        }
    }
    let succeeds =
        |call: &Call| !call.status.is_empty() && call.status.iter().all(|status| (200..300).contains(status));
    found.extend(
        resource
            .calls()
            .filter(|call| !succeeds(call))
            .map(|call| format!("{} has no status of success", call.path)),
    );
    if let Some(create) = &resource.create
        && let Recognise::List { columns, .. } = &create.recognise
    {
        let strange = columns.iter().filter(|name| !resource.columns.contains_key(*name));
        found.extend(strange.map(|name| format!("a create is recognised by {name}, which is no column")));
        if resource.list.is_empty() {
            found.push("a create is recognised by a list, and there is none".to_owned());
        }
    }
    let several = resource.command.len() > 1;
    for command in &resource.command {
        if several && command.when.is_empty() {
            found.push(format!("nothing says when {} is called", command.call.path));
        }
        for (name, value) in &command.when {
            if resource.columns.get(name).is_some_and(|column| !column.values.contains(value)) {
                found.push(format!("{name} is never {value}, so {} is never called", command.call.path));
            }
        }
    }
    for hint in &resource.log {
        // It names the row, or what a list goes by.
        let listed = |name: &str| resource.list.iter().any(|list| list.names().contains(&name));
        let strange = hint.key.keys().filter(|name| !resource.key.contains(*name) && !listed(name));
        found.extend(strange.map(|name| format!("a log entry gives {name}, which names no row and no list")));
    }
    found
}

/// What is wrong with a table's columns.
fn columns(resource: &Resource, catalog: &Catalog) -> Vec<String> {
    let mut found = Vec::new();
    let given =
        |column: &Column| column.class != Class::ReadOnly && column.only_on != Some(WriteCall::Update);
    for (name, column) in &resource.columns {
        let mut say = |what: &str| found.push(format!("{name} {what}"));
        if column.required && !given(column) {
            say("is required on INSERT and cannot be given there");
        }
        if column.values.iter().collect::<BTreeSet<_>>().len() != column.values.len() {
            say("has a value twice");
        }
        let crossed = |low: Option<f64>, high: Option<f64>| matches!((low, high), (Some(low), Some(high)) if low > high);
        let number = |count: Option<u32>| count.map(f64::from);
        if crossed(column.minimum, column.maximum)
            || crossed(number(column.min_length), number(column.max_length))
            || crossed(number(column.min_items), number(column.max_items))
        {
            say("has no possible value");
        }
        if let Some(table) = &column.references
            && catalog.get(table).is_some_and(|other| other.key.len() != 1)
        {
            say("references a table whose key has several columns");
        }
    }
    let writable = |(name, column): (&String, &Column)| {
        !resource.key.contains(name) && matches!(column.class, Class::Writable | Class::WriteOnly)
    };
    if resource.updates() && !resource.columns.iter().any(writable) {
        found.push("can be updated and has no writable column".to_owned());
    }
    found
}

/// What is wrong with the kind of a table, and with what it hangs on.
fn kinds(resource: &Resource, catalog: &Catalog) -> Vec<String> {
    let mut found = Vec::new();
    match resource.kind {
        ResourceKind::View => {
            let of = resource.view.as_ref().and_then(|view| catalog.get(&view.of));
            for (name, column) in &resource.columns {
                let same = of.and_then(|of| of.columns.get(resource.field(name)));
                if same.is_some_and(|same| same.kind != column.kind) {
                    found.push(format!("{name} has another type than what it shows"));
                }
            }
            if of.is_some_and(|of| !of.kind.is_read()) {
                found.push("is a view of what Auth0 has no rows of".to_owned());
            }
        }
        ResourceKind::Watch => {
            let reads = |other: &Resource| {
                other.list.iter().any(|list| list.parent.as_ref() == Some(&resource.table))
            };
            if !catalog.iter().any(reads) {
                found.push("is a watch by which nothing is read".to_owned());
            }
        }
        ResourceKind::Collection | ResourceKind::Singleton | ResourceKind::Association
            if !resource.is_read() =>
        {
            found.push("has no call that shows rows".to_owned());
        }
        _ => {}
    }
    found
}

fn faults(catalog: &Catalog) -> Vec<String> {
    let found = catalog.iter().flat_map(|resource| {
        let all =
            [texts(resource), calls(resource), columns(resource, catalog), kinds(resource, catalog)].concat();
        all.into_iter()
            .map(|fault| format!("{}/{}: {fault}", resource.tag, resource.table))
            .collect::<Vec<_>>()
    });
    found.collect()
}

#[test]
fn every_file_of_the_catalogue_is_sound() {
    let found = faults(&Catalog::bundled().unwrap());
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_of_a_draft_is_left() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog");
    let mut found = Vec::new();
    for tag in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in fs::read_dir(tag).unwrap().map(|entry| entry.unwrap().path()) {
            let text = fs::read_to_string(&file).unwrap();
            let left = LEFTOVERS.iter().filter(|word| text.contains(**word));
            found.extend(left.map(|word| format!("{}: {word}", file.display())));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_rules_find_what_breaks_them() {
    let thing = |rest: &str| {
        format!(
            "table = \"thing\"\nkind = \"collection\"\ncomment = \"A thing.\"\nkey = [\"id\"]\nnew_key = {{ by = \"server\" }}\n{rest}\n[columns.id]\ntype = \"text\"\nclass = \"read_only\"\ncomment = \"Key.\"\n"
        )
    };
    let get = "[get]\nmethod = \"GET\"\npath = \"/things/{id}\"\nscopes = [\"read:things\"]\nstatus = [200]";
    let column = |rest: &str| {
        thing(&format!("{get}\n[columns.value]\ntype = \"text\"\ncomment = \"A value.\"\n{rest}"))
    };
    let cases: &[(String, &[&str])] = &[
        (thing(get), &[]),
        (thing(get).replace("A thing.", "a thing"), &["comment is no sentence: a thing"]),
        (thing(get).replace("\"read:things\"", ""), &["/things/{id} needs no scope"]),
        (thing(get).replace("[200]", "[404]"), &["/things/{id} has no status of success"]),
        (thing(""), &["has no call that shows rows"]),
        (
            thing(&format!("{get}\n{}", get.replace("[get]", "[update]").replace("GET", "PATCH"))),
            &["can be updated and has no writable column"],
        ),
        (
            column("class = \"read_only\"\nrequired = true"),
            &["value is required on INSERT and cannot be given there"],
        ),
        (column("class = \"writable\"\nenum = [\"a\", \"a\"]"), &["value has a value twice"]),
        (column("class = \"writable\"\nmin_length = 3\nmax_length = 2"), &["value has no possible value"]),
    ];
    for (text, expected) in cases {
        let catalog = Catalog::from_files([("things/thing.toml", text.as_str())]).unwrap();
        let expected: Vec<_> = expected.iter().map(|fault| format!("things/thing: {fault}")).collect();
        assert_eq!(faults(&catalog), expected, "{text}");
    }
    let watch = "table = \"thing_watch\"\nkind = \"watch\"\ncomment = \"Things.\"\nkey = [\"id\"]\n[columns.id]\ntype = \"text\"\nclass = \"create_only\"\ncomment = \"Key.\"";
    let catalog = Catalog::from_files([("things/thing_watch.toml", watch)]).unwrap();
    assert_eq!(faults(&catalog), ["things/thing_watch: is a watch by which nothing is read"]);
    let command = "table = \"run\"\nkind = \"command\"\ncomment = \"Runs.\"\n[[command]]\nmethod = \"POST\"\npath = \"/run\"\nscopes = [\"run:it\"]\nstatus = [200]\nwhen = { how = \"fast\" }\n[columns.how]\ntype = \"text\"\nclass = \"create_only\"\ncomment = \"How.\"\nenum = [\"slow\"]";
    let catalog = Catalog::from_files([("things/run.toml", command)]).unwrap();
    assert_eq!(faults(&catalog), ["things/run: how is never fast, so /run is never called"]);
}
