//! Drift: what a comparison had to bring up to date although a live source should have told. It is
//! counted by table and by the sources that cover the table, as the catalogue knows them.

use crate::catalog::{Paging, Resource};
use crate::error::Result;
use crate::ingest::{Context, Live};
use crate::pg::fault;
use crate::telemetry::metric;

use super::differences::Counts;

/// The name for changes of which no source tells.
const NONE: &str = "none";

/// The sources that should have told of a change of this table, of those that this service has, joined
/// by `+`; `none` where only a comparison finds it.
pub(super) fn sources(resource: &Resource, live: Live) -> String {
    if resource.unseen.is_some() {
        return NONE.to_owned();
    }
    let writes = resource.create.is_some()
        || resource.update.is_some()
        || resource.delete.is_some()
        || resource.replace.is_some();
    let log = writes || !resource.log.is_empty() || resource.list.iter().any(|l| l.paging == Paging::Log);
    let events = resource.event.is_some();
    let covered = [
        (live.events && events, "events"),
        (live.actions && !resource.report.is_empty(), "actions"),
        (live.event_stream && events, "webhook"),
        (log, "logs"),
    ];
    let found: Vec<&str> = covered.into_iter().filter(|(covers, _)| *covers).map(|(_, name)| name).collect();
    if found.is_empty() { NONE.to_owned() } else { found.join("+") }
}

/// Counts the drift of one table and says it.
///
/// # Errors
/// Database errors.
pub(super) async fn note(context: &Context, resource: &Resource, counts: Counts) -> Result<()> {
    let source = sources(resource, context.live);
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
        let of = |table: &str, live: Live| sources(catalog.resource(table).unwrap(), live);
        let all = Live { events: true, actions: true, event_stream: true };
        assert_eq!(of("user", all), "events+actions+webhook+logs");
        assert_eq!(of("organization_member", all), "events+webhook+logs");
        assert_eq!(of("role", all), "logs", "there are no events of roles");
        assert_eq!(of("tenant", all), "logs");
        assert_eq!(of("user", Live { actions: false, ..all }), "events+webhook+logs");
        assert_eq!(of("user", Live::default()), "logs", "what is off is not to blame");
        assert_eq!(of("user_block", all), "none", "blocks end by themselves");
    }
}
