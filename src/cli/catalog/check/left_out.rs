//! Operations that no table uses on purpose, each with its reason: `catalog/left_out.toml`.

use std::{collections::BTreeSet, fs, path::Path};

use indexmap::IndexMap;

use super::document::Operation;
use crate::{Error, Kind, Result};

const BUNDLED: &str = include_str!("../../../../catalog/left_out.toml");

/// `METHOD /path` → why no table uses it.
pub(super) struct LeftOut {
    reasons: IndexMap<String, String>,
}

impl LeftOut {
    /// The bundled list, and that of the folder which `AUTH0_SYNC_CATALOG` names.
    ///
    /// # Errors
    /// `config` where a file cannot be read, `catalog` where it is wrong.
    pub(super) fn load() -> Result<LeftOut> {
        let mut found = Self::parse("left_out.toml", BUNDLED)?;
        if let Some(folder) = std::env::var_os("AUTH0_SYNC_CATALOG").filter(|folder| !folder.is_empty()) {
            let file = Path::new(&folder).join("left_out.toml");
            if file.exists() {
                let text = fs::read_to_string(&file).map_err(|error| {
                    Error::with(Kind::Config, format!("cannot read {}", file.display()), error)
                })?;
                found.reasons.extend(Self::parse(&file.display().to_string(), &text)?.reasons);
            }
        }
        Ok(found)
    }

    pub(super) fn parse(name: &str, text: &str) -> Result<LeftOut> {
        let reasons =
            toml::from_str(text).map_err(|error| Error::new(Kind::Catalog, format!("{name}: {error}")))?;
        Ok(LeftOut { reasons })
    }

    /// Whether an operation is left out on purpose.
    pub(super) fn has(&self, method: &str, path: &str) -> bool {
        self.reasons.contains_key(&format!("{method} {path}"))
    }

    /// Entries that no operation needs: the document has none of that name, or a table uses it.
    pub(super) fn needless(&self, operations: &[Operation<'_>], used: &BTreeSet<usize>) -> Vec<String> {
        let needed = |name: &String| {
            operations
                .iter()
                .enumerate()
                .any(|(place, o)| !used.contains(&place) && *name == format!("{} {}", o.method, o.path))
        };
        self.reasons.keys().filter(|name| !needed(name)).cloned().collect()
    }
}
