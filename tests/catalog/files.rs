//! The catalogue's files load, and bad ones are named with their fault.

use auth0_sync::{Kind, catalog::Catalog};

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
