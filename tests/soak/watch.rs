//! Watches while all goes on: that every row shows its base and what clients have written on it, and
//! what is told of refusals.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::support::Stand;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(150);
/// What was told is heard within this.
const HEARD_WITHIN: f64 = 2.0;

/// Unsettled updates of text columns that their row does not show, though no later one covers them.
pub(crate) const HIDDEN: &str = r#"
with rows (name, key, value) as (
    select 'user', jsonb_build_object('user_id', user_id), to_jsonb(t) from auth0."user" t
    union all select 'role', jsonb_build_object('id', id), to_jsonb(t) from auth0.role t
    union all select 'organization', jsonb_build_object('id', id), to_jsonb(t) from auth0.organization t
    union all select 'client', jsonb_build_object('client_id', client_id), to_jsonb(t) from auth0.client t
)
select format('mutation %s of %s %s is %s: %s ought to be %s and is %s', c.id, c."table", c.key, c.state, a.name, a.value, r.value -> a.name)
from auth0._sync_cdc c
cross join lateral jsonb_each(c.after) a (name, value)
left join rows r on r.name = c."table" and r.key = c.key
where c.settled_at is null and c.operation = 'UPDATE' and jsonb_typeof(a.value) in ('string', 'null')
    and c."table" in ('user', 'role', 'organization', 'client') and r.value -> a.name is distinct from a.value
    and not exists (
        select from auth0._sync_cdc l
        where l.settled_at is null and l.key = c.key and l."table" = c."table" and l.id > c.id
            and (l.operation <> 'UPDATE' or l.after ? a.name)
    )"#;

/// What has been seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Looks at the rows.
    pub(crate) looks: u64,
    /// Rows that did not show what they had to, as sentences.
    pub(crate) hidden: Vec<String>,
    /// What was told of each mutation that came back.
    told: BTreeMap<i64, u32>,
    /// When somebody listened, by the clock of Postgres: begin and end, in seconds.
    listened: Vec<(f64, f64)>,
}

/// Looks at the rows until `stop`.
pub(crate) async fn look(url: String, stop: CancellationToken) -> Seen {
    let (mut seen, mut connection) = (Seen::default(), None::<PgConnection>);
    let mut pace = tokio::time::interval(LOOK);
    while !stop.is_cancelled() {
        pace.tick().await;
        if connection.is_none() {
            connection = PgConnection::connect(&url).await.ok();
        }
        let Some(open) = connection.as_mut() else { continue };
        match sqlx::query_scalar::<_, String>(AssertSqlSafe(HIDDEN)).fetch_all(open).await {
            Ok(hidden) => {
                seen.looks += 1;
                seen.hidden.extend(hidden);
            }
            Err(error) => {
                assert!(
                    error
                        .as_database_error()
                        .is_none_or(|error| error.code().is_some_and(|code| code.starts_with("57"))),
                    "{error}"
                );
                connection = None;
            }
        }
    }
    seen
}

/// Listens until `stop`.
pub(crate) async fn listen(url: String, stop: CancellationToken) -> Seen {
    let (mut seen, mut pace) = (Seen::default(), tokio::time::interval(LOOK));
    while !stop.is_cancelled() {
        pace.tick().await;
        // It ends with its connection.
        let _ = hear(&url, &mut seen, &stop).await;
    }
    seen
}

async fn hear(url: &str, seen: &mut Seen, stop: &CancellationToken) -> sqlx::Result<()> {
    let mut listener = PgListener::connect(url).await?;
    listener.eager_reconnect(false);
    listener.listen("auth0_sync").await?;
    let begun = now(&mut listener).await?;
    seen.listened.push((begun, begun));
    let mut pace = tokio::time::interval(LOOK);
    while !stop.is_cancelled() {
        tokio::select! {
            note = listener.try_recv() => {
                let Some(note) = note? else { return Ok(()) };
                let note: Value = serde_json::from_str(note.payload()).unwrap();
                if note["state"] == "reverted" || note["state"] == "cancelled" {
                    *seen.told.entry(note["id"].as_i64().unwrap()).or_default() += 1;
                }
            }
            _ = pace.tick() => {
                let heard = now(&mut listener).await?;
                if let Some(last) = seen.listened.last_mut() {
                    last.1 = heard;
                }
            }
        }
    }
    Ok(())
}

async fn now(listener: &mut PgListener) -> sqlx::Result<f64> {
    sqlx::query_scalar("select extract(epoch from clock_timestamp())::float8").fetch_one(listener).await
}

/// Every mutation that came back was told once, where somebody listened, and has its reason.
pub(crate) async fn told_once(stand: &Stand, seen: &Seen) {
    let mut root = stand.root().await;
    let back = root
        .rows(
            "select id, \"table\", state, error, extract(epoch from settled_at)::float8 as at from auth0._sync_cdc \
             where state in ('reverted', 'cancelled')",
        )
        .await;
    let mut certain = 0;
    for row in &back {
        let (id, at) = (row["id"].as_i64().unwrap(), row["at"].as_f64().unwrap());
        assert!(row["error"]["message"].is_string(), "{row} has no reason");
        let times = seen.told.get(&id).copied().unwrap_or(0);
        let listened = seen.listened.iter().any(|(begun, ended)| *begun < at && at < ended - HEARD_WITHIN);
        certain += u32::from(listened);
        assert!(times <= 1 && (times == 1 || !listened), "told {times} times: {row}");
    }
    let known: Vec<_> = back.iter().filter_map(|row| row["id"].as_i64()).collect();
    let others: Vec<_> = seen.told.keys().filter(|id| !known.contains(id)).collect();
    assert!(others.is_empty(), "told that they came back, and they have not: {others:?}");
    println!(
        "{} mutations came back, {} were told once, {certain} of them to somebody who listened for sure",
        back.len(),
        seen.told.len()
    );
}
