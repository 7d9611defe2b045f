//! What is selected, and what is or is not because of it.

use super::Report;
use crate::catalog::Catalog;
use crate::error::Result;

/// Says how much of the catalogue is mirrored.
///
/// # Errors
/// `catalog` where the whole of it cannot be read.
pub(in crate::cli) fn show(selected: &Catalog, report: &mut Report) -> Result<()> {
    report.part("Selection");
    let all = Catalog::load()?;
    report.good(format!("{} of {} tables are selected", selected.iter().count(), all.iter().count()));
    for follows in selected.follows() {
        let (table, other) = (&follows.table, &follows.because_of);
        report.good(match follows.selected {
            true => format!("{table} is selected too: {other} needs it"),
            false => format!("{table} is left out too: it needs {other}"),
        });
    }
    for resource in selected.iter().filter(|resource| !resource.hidden.is_empty()) {
        let names: Vec<_> = resource.hidden.keys().map(String::as_str).collect();
        report.good(format!("{} without {}", resource.table, names.join(", ")));
    }
    Ok(())
}
