//! Notes in the database what the budget lets through, so that `plan()` can tell clients how long their
//! changes take. The figures are for people: they may be a few seconds old.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;

use crate::auth0::{Budget, Flow};
use crate::catalog::Catalog;
use crate::error::Result;
use crate::pg::{Database, fault};

/// How often it is looked whether the figures have changed.
const EVERY: Duration = Duration::from_secs(2);

/// Keeps the figures up to date, for ever.
pub(super) async fn note_budget(database: Database, schema: String, budget: Budget, catalog: Arc<Catalog>) {
    let (mut grouped, mut noted) = (false, None);
    loop {
        if !grouped {
            match note_groups(&database, &schema, &groups(&budget, &catalog)).await {
                Ok(()) => grouped = true,
                Err(error) => tracing::warn!(%error, "the limits of calls could not be noted yet"),
            }
        }
        let flows = budget.flows();
        if noted.as_ref() != Some(&flows) {
            match note_flows(&database, &schema, &flows).await {
                Ok(()) => noted = Some(flows),
                Err(error) => tracing::warn!(%error, "the budget could not be noted yet"),
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// (Method, path) of every call that writes → its buckets, one a line.
fn groups(budget: &Budget, catalog: &Catalog) -> BTreeMap<(String, String), String> {
    let calls = catalog.iter().flat_map(|resource| resource.calls());
    let group = |method: &str, path: &str| {
        let buckets = Method::from_bytes(method.as_bytes()).map(|method| budget.buckets_of(&method, path));
        buckets.unwrap_or_default().join("\n")
    };
    let writing = calls.filter(|call| call.method != Method::GET.as_str());
    writing.map(|call| ((call.method.clone(), call.path.clone()), group(&call.method, &call.path))).collect()
}

async fn note_groups(
    database: &Database,
    schema: &str,
    groups: &BTreeMap<(String, String), String>,
) -> Result<()> {
    sqlx::query(include_str!("sql/note_call_groups.sql"))
        .bind(schema)
        .bind(groups.keys().map(|(method, _)| method.clone()).collect::<Vec<_>>())
        .bind(groups.keys().map(|(_, path)| path.clone()).collect::<Vec<_>>())
        .bind(groups.values().cloned().collect::<Vec<_>>())
        .execute(&database.pool)
        .await
        .map_err(fault("cannot note the limits of calls"))?;
    Ok(())
}

async fn note_flows(database: &Database, schema: &str, flows: &[Flow]) -> Result<()> {
    let available = |flow: &Flow| i64::try_from(flow.available).unwrap_or(i64::MAX);
    sqlx::query(include_str!("sql/note_budget.sql"))
        .bind(schema)
        .bind(flows.iter().map(|flow| flow.bucket.clone()).collect::<Vec<_>>())
        .bind(flows.iter().map(available).collect::<Vec<_>>())
        .bind(flows.iter().map(|flow| flow.per_second).collect::<Vec<_>>())
        .execute(&database.pool)
        .await
        .map_err(fault("cannot note the budget"))?;
    Ok(())
}
