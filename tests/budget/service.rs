//! What the service shows of its calls.

use std::time::Duration;

use crate::support::{Emulator, Postgres, Stand, wait_for};

#[tokio::test]
async fn status_shows_the_budget_and_the_calls_of_the_day() {
    let emulator = Emulator::with(&["--users", "20", "--rate-limits", "private-1x"]).await;
    let mut stand = Stand::set_up(Postgres::start(), emulator).await;
    stand.configuration = "[auth0]\nplan = \"private-1x\"\n".into();
    stand.restart_service().await;
    let url = stand.ready["status_url"].as_str().unwrap().to_owned();
    let page = format!("{}/status", url.trim_end_matches("/status"));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let status: serde_json::Value = http.get(page).send().await.unwrap().json().await.unwrap();
    let budget = &status["budget"];
    assert_eq!((&budget["plan"], &budget["reserve_percent"]), (&"private-1x".into(), &20.into()), "{status}");
    let whole =
        budget["buckets"].as_array().unwrap().iter().find(|bucket| bucket["name"] == "whole").unwrap();
    assert_eq!((&whole["limit"], &whole["per_minute"]), (&50.into(), &3_000.0.into()));
    assert!(budget["calls"]["backfill"].as_u64().unwrap() > 5, "{budget}");
    // What is counted is written down at the latest when the service ends.
    assert!(stand.service.as_mut().unwrap().terminate().await.success());
    let pool = stand.admin().await;
    let counted = wait_for("the calls are counted", Duration::from_secs(5), async || {
        let count: i64 = sqlx::query_scalar(
            "select coalesce(sum(calls), 0)::bigint from _auth0_sync.calls where lane = 'backfill'",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        (count > 5).then_some(count)
    })
    .await;
    let (ended, listing, log) = stand.run(&["status"]).await;
    assert!(ended.success(), "{log}");
    assert!(listing.contains(&format!("{counted} backfill")), "{listing}");
}

#[tokio::test]
async fn an_open_transaction_is_told_how_long_the_budget_keeps_it() {
    let emulator = Emulator::with(&["--users", "2", "--rate-limits", "private-1x"]).await;
    let mut stand = Stand::set_up(Postgres::start(), emulator).await;
    stand.configuration = "[auth0]\nplan = \"private-1x\"\n".into();
    stand.restart_service().await;
    let mut root = stand.root().await;
    // Full again after the filling: 80 of 100 of 50 calls at once, and as many a second.
    wait_for("the budget is noted", Duration::from_secs(20), async || {
        let full = "select count(*) from _auth0_sync.budget where bucket = 'whole' and available = 40";
        (root.count(full).await == 1).then_some(())
    })
    .await;
    let mut session = stand.session().await;
    session
        .run("begin; insert into auth0.role (name) select 'many ' || n from generate_series(1, 60) n")
        .await;
    let plan = session.rows("select calls, seconds from auth0.plan()").await;
    let seconds = |n: usize| plan[n]["seconds"].as_f64().unwrap();
    assert_eq!((plan.len(), &plan[0]["calls"], seconds(0)), (60, &2.into(), 0.0));
    // Two calls each: 120, of which 40 may leave at once.
    assert!(seconds(59) >= 2.0 && seconds(59) < 20.0, "{:?}", plan[59]);
    session.run("rollback").await;
}
