//! Drift: what a comparison had to bring up to date although a live source should have told. It is
//! counted by table and by the sources that cover the table, as the catalogue knows them.

use crate::catalog::{Paging, Resource};
use crate::error::Result;
use crate::ingest::Context;
use crate::pg::fault;
use crate::telemetry::metric;

use super::differences::Counts;

/// The name for changes of which no source tells.
const NONE: &str = "none";

/// The sources that should have told of a change of this table, joined by `+`; `none` where only a
/// comparison finds it.
pub(super) fn sources(resource: &Resource) -> String {
    if resource.unseen.is_some() {
        return NONE.to_owned();
    }
    let writes = resource.create.is_some()
        || resource.update.is_some()
        || resource.delete.is_some()
        || resource.replace.is_some();
    let log = writes || !resource.log.is_empty() || resource.list.iter().any(|l| l.paging == Paging::Log);
    let found: Vec<&str> =
        [(log, "logs")].into_iter().filter(|(covers, _)| *covers).map(|(_, n)| n).collect();
    if found.is_empty() { NONE.to_owned() } else { found.join("+") }
}

/// Counts the drift of one table and says it.
///
/// # Errors
/// Database errors.
pub(super) async fn note(context: &Context, resource: &Resource, counts: Counts) -> Result<()> {
    let source = sources(resource);
    let Counts { inserted, updated, deleted } = counts;
    let table = resource.table.as_str();
    match &resource.unseen {
        Some(why) => {
            tracing::info!(table, inserted, updated, deleted, "a comparison has found changes: {why}")
        }
        None => tracing::warn!(
            table,
            inserted,
            updated,
            deleted,
            source,
            "drift: a comparison has found changes that no live source has brought"
        ),
    }
    let schema = context.schema.clone();
    metrics::counter!(metric::DRIFT, "schema" => schema, "table" => table.to_owned(), "source" => source.clone())
        .increment(counts.total());
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query(include_str!("../sql/note_drift.sql"))
        .bind(&context.schema)
        .bind(table)
        .bind(source)
        .bind(number(inserted))
        .bind(number(updated))
        .bind(number(deleted))
        .execute(&context.database.pool)
        .await
        .map_err(fault("cannot note the drift"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn the_catalogue_says_which_source_covers_a_table() {
        let catalog = Catalog::bundled().unwrap();
        let of = |table: &str| sources(catalog.resource(table).unwrap());
        assert!(of("role").contains("logs"));
        assert!(of("tenant").contains("logs"));
        assert_eq!(of("user_block"), "none", "blocks end by themselves");
    }
}
