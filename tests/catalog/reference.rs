//! The reference page of all tables, `catalog/REFERENCE.md`.

use std::{collections::BTreeSet, fs, path::Path};

use auth0_sync::{catalog::Catalog, cli::catalog::reference};
use regex::Regex;

const RENEW: &str = "cargo run --locked -- catalog --markdown > catalog/REFERENCE.md";

fn page() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog/REFERENCE.md");
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{error}; make it with: {RENEW}"))
}

#[test]
fn the_reference_page_is_what_the_catalogue_says() {
    let made = reference(&Catalog::bundled().unwrap());
    let other = made.lines().zip(page().lines().map(str::to_owned)).find(|(made, there)| made != there);
    assert!(made == page(), "catalog/REFERENCE.md is out of date ({other:?}); renew it with:\n    {RENEW}");
}

#[test]
fn every_table_stands_on_the_reference_page_once_and_every_link_leads_somewhere() {
    let made = reference(&Catalog::bundled().unwrap());
    let headings: Vec<&str> = made.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let tables: BTreeSet<_> =
        Catalog::bundled().unwrap().iter().map(|resource| resource.table.clone()).collect();
    assert_eq!(headings.len(), tables.len(), "one heading a table");
    let links = Regex::new(r"\]\(#([^)]*)\)").unwrap();
    for link in links.captures_iter(&made) {
        assert!(headings.contains(&&link[1]), "#{} leads nowhere", &link[1]);
        assert!(tables.contains(&link[1]), "{}", &link[1]);
    }
    for heading in made.lines().filter(|line| line.starts_with('#')) {
        let slug = heading.trim_start_matches('#').trim();
        let same =
            made.lines().filter(|line| line.starts_with('#') && line.trim_start_matches('#').trim() == slug);
        assert_eq!(same.count(), 1, "two headings {slug}: a link leads to the first");
    }
}
