//! Lists the catalogue's files so that the program carries them inside.

use std::{env, fs, path::Path};

#[expect(clippy::expect_used, reason = "a build script reports by failing")]
fn main() {
    println!("cargo:rerun-if-changed=catalog");
    println!("cargo:rerun-if-changed=migrations");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let catalog = Path::new(&root).join("catalog");
    let mut files = Vec::new();
    for tag in sorted(&catalog).into_iter().filter(|path| path.is_dir()) {
        files.extend(sorted(&tag).into_iter().filter(|path| path.extension().is_some_and(|e| e == "toml")));
    }
    let mut list = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&catalog).expect("below the catalogue").display().to_string();
        list.push_str(&format!("    ({name:?}, include_str!({:?})),\n", file.display().to_string()));
    }
    list.push(']');
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets OUT_DIR")).join("catalog_files.rs");
    fs::write(out, list).expect("OUT_DIR can be written");
}

fn sorted(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .map(|entries| entries.filter_map(|entry| entry.ok().map(|e| e.path())).collect())
        .unwrap_or_default();
    paths.sort();
    paths
}
