//! Tells applications how writes to Auth0 are doing: by NOTIFY, and in the state tables so that whoever comes
//! later, or starts the service anew, knows what was told last. What passes at once is no news.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::error::Result;
use crate::pg::{Database, fault};
use crate::writeback::Report;

/// What has lasted so long is told.
const LASTS: Duration = Duration::from_secs(1);

/// `{"state": "running" | "waiting" | "blocked" | "paused", …}`: `kind` and `hint` say why all writes wait,
/// `blocked` which ones Auth0 does not allow.
pub(super) fn shown(report: &Report) -> Value {
    if report.paused {
        return json!({"state": "paused"});
    }
    if let Some(kind) = report.waiting_for {
        return json!({"state": "waiting", "kind": kind.as_str(), "hint": kind.policy().hint});
    }
    if report.blocked.is_empty() {
        return json!({"state": "running"});
    }
    let blocked = report.blocked.iter().map(|blocked| {
        json!({
            "table": blocked.table,
            "operation": blocked.operation.as_str(),
            "kind": blocked.kind.as_str(),
            "hint": blocked.kind.policy().hint,
        })
    });
    json!({"state": "blocked", "blocked": blocked.collect::<Vec<_>>()})
}

/// Tells of every change that lasts, until the dispatcher has gone.
pub(super) async fn tell(database: Database, schema: String, mut report: watch::Receiver<Report>) {
    let mut told = loop {
        match last(&database, &schema).await {
            Ok(told) => break told,
            Err(error) => tracing::warn!(%error, "what was told of writes cannot be read yet"),
        }
        sleep(LASTS).await;
    };
    loop {
        let now = shown(&report.borrow_and_update());
        if now == told {
            if report.changed().await.is_err() {
                return;
            }
        } else if now["state"] == "paused" || lasts(&mut report, &now).await {
            match store(&database, &schema, &now).await {
                Ok(()) => told = now,
                Err(error) => {
                    tracing::warn!(%error, "how writes are doing cannot be told yet");
                    sleep(LASTS).await;
                }
            }
        }
    }
}

/// Whether the report goes on showing this.
async fn lasts(report: &mut watch::Receiver<Report>, now: &Value) -> bool {
    let until = Instant::now() + LASTS;
    loop {
        tokio::select! {
            () = sleep_until(until) => return true,
            changed = report.changed() => {
                if changed.is_err() || shown(&report.borrow_and_update()) != *now {
                    return false;
                }
            }
        }
    }
}

async fn last(database: &Database, schema: &str) -> Result<Value> {
    let told: Option<Value> = sqlx::query_scalar("select writes from _auth0_sync.tenant where schema = $1")
        .bind(schema)
        .fetch_one(&database.pool)
        .await
        .map_err(fault("cannot read what was told of writes"))?;
    Ok(told.unwrap_or_else(|| shown(&Report::default())))
}

async fn store(database: &Database, schema: &str, now: &Value) -> Result<()> {
    let mut message = json!({"event": "writes", "schema": schema});
    if let (Some(message), Some(now)) = (message.as_object_mut(), now.as_object()) {
        message.extend(now.clone());
    }
    sqlx::query(include_str!("sql/tell_writes.sql"))
        .bind(schema)
        .bind(now)
        .bind(message.to_string())
        .execute(&database.pool)
        .await
        .map_err(fault("cannot tell how writes are doing"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::pg::mirror::Operation;
    use crate::writeback::Blocked;

    #[test]
    fn what_concerns_everything_goes_before_what_concerns_a_table() {
        let mut report = Report::default();
        assert_eq!(shown(&report), json!({"state": "running"}));
        let (table, operation) = ("user".to_owned(), Operation::Update);
        report.blocked = vec![Blocked { table, operation, kind: Kind::Auth0Scope }];
        let blocked = shown(&report);
        assert_eq!(
            (&blocked["state"], &blocked["blocked"][0]["operation"]),
            (&json!("blocked"), &json!("UPDATE"))
        );
        report.waiting_for = Some(Kind::Auth0Unreachable);
        assert_eq!(shown(&report)["kind"], "auth0_unreachable");
        report.paused = true;
        assert_eq!(shown(&report), json!({"state": "paused"}));
    }
}
