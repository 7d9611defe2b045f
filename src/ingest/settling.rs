//! Rows on which Auth0 is still at work (an action that is built, a job that runs): they are read
//! again, with growing pauses, until the column shows another value. The tables say which rows those
//! are, so that nothing is forgotten over a restart, whoever wrote the row.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio::time::Instant;

use super::{Context, Queue};
use crate::catalog::{Resource, RowKey, Settling, Target};
use crate::error::Result;
use crate::pg::{fault, ident, key_columns, qualified, selected_key};
use crate::retry::pause;

/// Between two looks at the tables; a look that takes long is rarer.
const LOOK: Duration = Duration::from_millis(500);
/// A look may take this part of the time.
const SHARE: u32 = 50;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Rows of a table that are watched at a time; the others come when these are done.
const ROWS: i64 = 500;

struct Watched {
    tries: u32,
    due: Instant,
}

/// Asks for rows that Auth0 is still at work on, for ever.
pub async fn watch_settling(context: &Context, queue: &Queue) {
    let at_work: Vec<_> = context
        .catalog
        .iter()
        .filter(|resource| resource.is_read())
        .filter_map(|resource| Some((resource, resource.settling.as_ref()?)))
        .collect();
    let mut watched: HashMap<Target, Watched> = HashMap::new();
    loop {
        let began = Instant::now();
        let mut found = HashMap::new();
        for (resource, settling) in &at_work {
            match unsettled(context, resource, settling).await {
                Ok(keys) => {
                    for target in
                        keys.into_iter().filter_map(|k| Target::row(&context.catalog, &resource.table, k))
                    {
                        let row =
                            watched.remove(&target).unwrap_or(Watched { tries: 0, due: began + FIRST_PAUSE });
                        found.insert(target, row);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, table = %resource.table, "cannot see what Auth0 is at work on");
                    found.extend(watched.extract_if(|target, _| target.table() == resource.table));
                }
            }
        }
        for target in watched.into_keys() {
            // What it was at work on shows below it, as the errors of a job do.
            if let Target::Row { table, key } = target {
                queue.ask(Target::below(&context.catalog, &table, key));
            }
        }
        watched = found;
        for (target, row) in watched.iter_mut().filter(|(_, row)| row.due <= began) {
            row.tries += 1;
            row.due = began + pause(row.tries, FIRST_PAUSE, LONGEST_PAUSE);
            queue.ask([target.clone()]);
        }
        tokio::time::sleep(LOOK.max(began.elapsed() * SHARE)).await;
    }
}

/// Keys of the rows whose column shows that Auth0 is at work.
async fn unsettled(context: &Context, resource: &Resource, settling: &Settling) -> Result<Vec<RowKey>> {
    let known =
        resource.key.iter().map(|key| format!(" and not pg_catalog.starts_with({}, 'new_')", ident(key)));
    let sql = format!(
        "select {} from {} where {} = any ($1){} limit {ROWS}",
        key_columns(resource),
        qualified(&context.schema, &resource.table),
        ident(&settling.column),
        known.collect::<String>(),
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(&settling.values)
        .fetch_all(&context.database.pool)
        .await
        .map_err(fault("cannot read the rows that Auth0 is at work on"))?;
    Ok(rows.iter().map(|row| selected_key(resource, row)).collect())
}
