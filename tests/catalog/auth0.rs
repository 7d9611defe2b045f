//! The bundled catalogue beside Auth0's OpenAPI document.

use std::path::{Path, PathBuf};

use auth0_sync::{catalog::Catalog, cli::catalog::check};

use crate::support::Program;

/// Auth0's document, where this checkout has one beside it.
fn document() -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/auth0/management-api-oas.json");
    if !file.exists() {
        println!("skipped: ../shared/auth0/management-api-oas.json is absent");
        return None;
    }
    Some(file)
}

#[test]
fn the_catalogue_says_what_auth0s_document_says() {
    let Some(file) = document() else { return };
    let report = check::compare(&Catalog::bundled().unwrap(), &file, &[]).unwrap();
    assert!(
        report.agrees(),
        "{}\nCorrect the files below catalog/, or say why they differ: catalog/README.md, \
         \"Comparison with Auth0\".",
        report.text()
    );
}

#[tokio::test]
async fn the_command_tells_by_its_exit_code_whether_anything_differs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, r#"{"openapi": "3.1.0", "paths": {}}"#).unwrap();
    let file = file.to_str().unwrap();
    let (status, out, log) = Program::output(&["catalog", "--check", file, "role"], &[]).await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(out.starts_with("role\n  list: Auth0 has no GET /roles\n"), "{out}");
    let (status, out, _) = Program::output(&["catalog", "--json", "--check", file, "role"], &[]).await;
    assert_eq!(status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["agrees"], false);
    assert_eq!(report["differences"][0]["table"], "role");
    if let Some(document) = document() {
        let name = document.to_str().unwrap();
        let (status, out, log) = Program::output(&["catalog", "--check", name, "role"], &[]).await;
        assert_eq!(status.code(), Some(0), "{out}{log}");
        assert_eq!(out, "No difference: 1 tables, 452 operations.\n");
    }
    let (status, _, log) = Program::output(&["catalog", "--check", "/nowhere.json"], &[]).await;
    assert!(!status.success());
    assert!(log.contains("/nowhere.json"), "{log}");
}
