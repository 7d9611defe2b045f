//! Two services for one schema, as in a rolling deployment.

use std::time::Duration;

use serde_json::json;

use crate::support::{Program, Stand, equal, wait_until};

const SOON: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_second_service_leaves_calls_under_way_alone_and_takes_over() {
    let mut stand = Stand::start(10).await;
    let mut session = stand.session().await;
    stand
        .emulator
        .fault(json!({"match": {"method": "POST", "path": "/clients"}, "times": 1, "delay_ms": 1500}))
        .await;
    session.run("insert into auth0.client (name) values ('once')").await;
    wait_until("the call is under way", SOON, async || {
        session.count("select count(*) from auth0._sync_cdc where state = 'sending'").await == 1
    })
    .await;
    let variables = stand.variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut second = Program::start(&["run", "--json"], &variables);
    wait_until("the second waits", SOON, async || second.log().contains("this one waits for its end")).await;
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    assert_eq!(stand.emulator.calls("POST /clients").await, 1);
    stand.kill_service().await;
    session.run("insert into auth0.role (name) values ('taken over')").await;
    second.ready().await;
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    equal(&stand).await;
}

#[tokio::test]
async fn a_service_that_loses_its_right_starts_anew() {
    let stand = Stand::start(10).await;
    let (mut session, mut root) = (stand.session().await, stand.root().await);
    let ended = root
        .count(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'auth0-sync owner'",
        )
        .await;
    assert_eq!(ended, 1);
    let log = || stand.service.as_ref().unwrap().log();
    wait_until("it says so", SOON, async || log().contains("the service starts anew")).await;
    session.confirmed("update auth0.user set nickname = 'anew'").await;
    equal(&stand).await;
}
