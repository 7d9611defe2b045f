//! The catalogue's files load, bad ones are named, and the described resources say what is known of
//! the Management API.

#![expect(clippy::unwrap_used, reason = "a test fails by it, in its own functions too")]

use std::{fs, path::Path};

use auth0_sync::{
    Kind,
    catalog::{Catalog, Class, Resource, ResourceKind, WriteCall},
};
use serde_json::Value;

const MINIMAL: &str = r#"
table = "thing"
kind = "collection"
comment = "A thing."
key = ["id"]
new_key = { by = "server" }

[columns.id]
type = "text"
class = "read_only"
comment = "Key of the thing."
"#;

/// Fields whose description differs from Auth0's document on purpose: table, field, reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("client", "custom_login_page", "may be empty, as recorded"),
    ("client", "form_template", "may be empty, as recorded"),
    ("client", "client_secret", "a secret: written, never stored"),
    (
        "client",
        "signing_keys",
        "holds a private key in some answers: a secret column keeps it out of `extra`",
    ),
];

fn load(name: &str, text: &str) -> auth0_sync::Result<Catalog> {
    Catalog::from_files([(name, text)])
}

#[test]
fn the_bundled_catalog_loads_with_parents_before_children() {
    let catalog = Catalog::bundled().unwrap();
    let tables: Vec<_> = catalog.iter().map(|resource| resource.table.as_str()).collect();
    for resource in catalog.iter() {
        let place = |table: &str| tables.iter().position(|other| *other == table).unwrap();
        for parent in resource.parents().filter(|parent| *parent != resource.table) {
            assert!(place(parent) < place(&resource.table), "{parent} must stand before {}", resource.table);
        }
    }
    assert!(tables.len() >= 8, "{tables:?}");
}

#[test]
fn columns_of_the_catalog_keep_the_order_of_their_file() {
    let text = format!(
        "{MINIMAL}\n[columns.b]\ntype=\"text\"\nclass=\"writable\"\ncomment=\"\"\n[columns.a]\ntype=\"text\"\nclass=\"writable\"\ncomment=\"\""
    );
    let catalog = load("things/thing.toml", &text).unwrap();
    let columns: Vec<_> = catalog.get("thing").unwrap().columns.keys().collect();
    assert_eq!(columns, ["id", "b", "a"]);
}

#[test]
fn every_table_and_column_of_the_catalog_has_a_comment_that_is_a_sentence() {
    for resource in Catalog::bundled().unwrap().iter() {
        let table = &resource.table;
        let columns = resource.columns.iter().map(|(name, column)| (name.as_str(), column.comment.as_str()));
        for (name, comment) in columns.chain([("", resource.comment.as_str())]) {
            assert!(comment.ends_with('.'), "{table}.{name}: {comment}");
            assert!(comment.starts_with(|c: char| c.is_uppercase()), "{table}.{name}: {comment}");
        }
    }
}

#[test]
fn a_bad_file_of_the_catalog_is_named_with_its_fault() {
    let column = |rest: &str| format!("{MINIMAL}\n[columns.value]\ncomment = \"A value.\"\n{rest}\n");
    let list = |rest: &str| format!("{MINIMAL}\n[[list]]\nscopes = []\npaging = \"none\"\n{rest}\n");
    let bad: &[(&str, String, &str)] = &[
        ("not toml", MINIMAL.replace("key = [\"id\"]", "key = [\"id\""), "key"),
        ("unknown key", format!("colour = \"red\"\n{MINIMAL}"), "unknown field `colour`"),
        ("missing key", MINIMAL.replace("comment = \"A thing.\"", ""), "missing field `comment`"),
        ("other table", MINIMAL.replace("\"thing\"", "\"other\""), "describes table other"),
        ("name", format!("{MINIMAL}\n[columns.Big]\ntype=\"text\"\nclass=\"writable\"\ncomment=\"\""), "Big"),
        (
            "reserved",
            format!("{MINIMAL}\n[columns.extra]\ntype=\"jsonb\"\nclass=\"writable\"\ncomment=\"\""),
            "extra",
        ),
        ("no key", MINIMAL.replace("[\"id\"]", "[]"), "has no key"),
        ("strange key", MINIMAL.replace("[\"id\"]", "[\"name\"]"), "key column name is not described"),
        ("key type", MINIMAL.replace("\"text\"", "\"bigint\""), "key column id is not text"),
        ("key maker", MINIMAL.replace("\"collection\"", "\"singleton\""), "new_key does not fit the kind"),
        (
            "version",
            MINIMAL.replace("key = [", "version = \"id\"\nkey = ["),
            "version column id is not a timestamptz",
        ),
        ("type", column("type = \"varchar\"\nclass = \"writable\""), "unknown variant `varchar`"),
        ("class", column("type = \"text\"\nclass = \"mutable\""), "unknown variant `mutable`"),
        ("secret", column("type = \"text\"\nclass = \"writable\"\nsecret = true"), "secret column value"),
        (
            "merge",
            column("type = \"text\"\nclass = \"writable\"\nmerge = \"keys\""),
            "merges but is not jsonb",
        ),
        ("pattern", column("type = \"text\"\nclass = \"writable\"\npattern = \"(\""), "column value: regex"),
        (
            "path",
            format!(
                "{MINIMAL}\n[delete]\nmethod=\"DELETE\"\npath=\"/things/{{no}}\"\nscopes=[]\nstatus=[204]"
            ),
            "{no}",
        ),
        ("list without parent", list("path = \"/others/{other_id}/things\""), "must name its parent"),
        ("list with parent", list("path = \"/things\"\nparent = \"thing\""), "must name its parent"),
        (
            "reference",
            column("type = \"text\"\nclass = \"writable\"\nreferences = \"nothing\""),
            "references nothing",
        ),
    ];
    for (case, text, fault) in bad {
        let error = load("things/thing.toml", text).expect_err(case);
        assert_eq!(error.kind(), Kind::Catalog, "{case}");
        let said = error.to_string();
        assert!(said.starts_with("things/thing.toml: "), "{case}: {said}");
        assert!(said.contains(fault), "{case}: {said}");
    }
    assert!(load("things/thing.toml", MINIMAL).is_ok());
    assert!(load("thing.toml", MINIMAL).unwrap_err().what().contains("folder"));
}

#[test]
fn two_files_of_the_catalog_must_not_describe_one_table_nor_references_a_circle() {
    let twice = Catalog::from_files([("a/thing.toml", MINIMAL), ("b/thing.toml", MINIMAL)]).unwrap_err();
    assert!(twice.what().starts_with("b/thing.toml: table thing is described twice"), "{twice}");

    let refers = |table: &str, to: &str| {
        let text = MINIMAL.replace("\"thing\"", &format!("{table:?}"));
        format!("{text}\n[columns.other]\ntype=\"text\"\nclass=\"writable\"\ncomment=\"\"\nreferences={to:?}")
    };
    let (one, two) = (refers("one", "two"), refers("two", "one"));
    let circle = Catalog::from_files([("a/one.toml", &*one), ("a/two.toml", &*two)]).unwrap_err();
    assert!(circle.what().contains("circle"), "{circle}");
}

/// What is known of Auth0's resources, by the table names used there; none where it is absent.
fn known_resources() -> Option<Vec<Value>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/auth0/resources.json");
    let text = fs::read_to_string(file).ok()?;
    let document: Value = serde_json::from_str(&text).unwrap();
    Some(document["resources"].as_array().unwrap().clone())
}

/// Fields by name, whether the document lists them or maps them.
fn fields(known: &Value) -> Vec<(String, &Value)> {
    match &known["fields"] {
        Value::Array(list) => list.iter().map(|f| (f["name"].as_str().unwrap().to_owned(), f)).collect(),
        Value::Object(map) => map.iter().map(|(name, f)| (name.clone(), f)).collect(),
        _ => Vec::new(),
    }
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::ReadOnly => "read_only",
        Class::CreateOnly => "create_only",
        Class::Writable => "writable",
        Class::WriteOnly => "write_only",
    }
}

/// Everything in which a resource differs from what is known, as sentences.
fn differences(resource: &Resource, known: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, field) in fields(known) {
        let excepted = EXCEPTIONS.iter().any(|(table, field, _)| *table == resource.table && *field == name);
        let at = format!("{}.{name}", resource.table);
        let Some((_, column)) = resource.columns.iter().find(|(column, _)| resource.field(column) == name)
        else {
            found.push(format!("{at} has no column"));
            continue;
        };
        let class = field["class"].as_str().unwrap();
        if class_name(column.class) != class && !excepted {
            found.push(format!("{at} is {}, known as {class}", class_name(column.class)));
        }
        let required = field["required_on_create"] == true;
        if column.required != required {
            found.push(format!("{at}: required is {}, known as {required}", column.required));
        }
        let length = |key: &str| field[key].as_u64().filter(|length| *length > 0 && class != "read_only");
        if column.min_length.map(u64::from) != length("minLength") && !excepted {
            found.push(format!("{at}: min_length differs"));
        }
        if column.max_length.map(u64::from) != length("maxLength") {
            found.push(format!("{at}: max_length differs"));
        }
        if field["update_only"] == true && column.only_on != Some(WriteCall::Update) {
            found.push(format!("{at} is taken by the update alone"));
        }
    }
    found
}

#[test]
fn the_catalog_says_what_is_known_of_every_described_resource() {
    let Some(known) = known_resources() else {
        println!("skipped: ../shared/auth0/resources.json is absent");
        return;
    };
    let mut found = Vec::new();
    for resource in Catalog::bundled().unwrap().iter() {
        let path = resource.get.as_ref().map(|call| call.path.split("/{").next().unwrap().to_owned());
        let matching = known.iter().find(|known| match &path {
            Some(path) => known["path"] == path.as_str() && known["get"].is_object(),
            None => known["table"] == resource.table.as_str(),
        });
        match matching {
            // The document gives a link the fields of the listed side, so there is nothing to compare.
            Some(known) if resource.kind == ResourceKind::Association => {
                assert_eq!(known["kind"], "association", "{}", resource.table);
            }
            Some(known) => found.extend(differences(resource, known)),
            None => found.push(format!("{} is not known", resource.table)),
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
