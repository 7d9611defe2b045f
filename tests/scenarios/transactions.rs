//! Transactions: what is rolled back is never sent; large ones settle.

use std::time::{Duration, Instant};

use super::{api_user, user};
use crate::support::{Stand, wait_until};

pub async fn what_is_rolled_back_is_never_sent(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 10).await;
    let update = |set: &str| format!("update auth0.user set {set} where user_id = '{id}';");
    let before = session.count("select count(*) from auth0._sync_cdc").await;
    session
        .run(&format!(
            "begin; {} insert into auth0.role (name) values ('ghost'); rollback",
            update("nickname = 'ghost'")
        ))
        .await;
    session.confirmed(&format!(
        "begin; {} savepoint a; {} insert into auth0.role (name) values ('ghost'); rollback to a; {} commit",
        update("nickname = 'kept'"),
        update("given_name = 'ghost', password = 'long-enough-ghost'"),
        update("family_name = 'kept'"),
    )).await;
    assert_eq!(session.count("select count(*) from auth0._sync_cdc").await, before + 2);
    let there = api_user(stand, &id).await;
    assert_eq!((&there["nickname"], &there["family_name"]), (&"kept".into(), &"kept".into()));
    assert_ne!(there["given_name"], "ghost");
    assert!(!stand.emulator.state().await["role"].to_string().contains("ghost"));
    assert!(!stand.emulator.journal().contains("long-enough-ghost"));
    assert_eq!(stand.root().await.count("select count(*) from _auth0_sync.write_only").await, 0);
}

/// Users of the large update; MANY=10000 for a long look.
pub fn many() -> u32 {
    std::env::var("MANY").ok().and_then(|many| many.parse().ok()).unwrap_or(1_500)
}

pub async fn thousands_of_rows_in_one_update_all_settle_in_flat_memory(stand: &mut Stand) {
    let mut session = stand.session().await;
    let users = session.count("select count(*) from auth0.user").await;
    let service = stand.service.as_ref().unwrap().pid();
    let (before, begun) = (resident(service), Instant::now());
    session.run("update auth0.user set nickname = 'all of us'").await;
    let mut most = before;
    wait_until("all are settled", Duration::from_secs(120), async || {
        most = most.max(resident(service));
        session.count("select count(*) from auth0._sync_cdc where settled_at is null").await == 0
    })
    .await;
    let confirmed = session.count("select count(*) from auth0._sync_cdc where state = 'confirmed'").await;
    println!("{users} rows in {:?}; memory {before} kB before, {most} kB at most", begun.elapsed());
    assert_eq!(confirmed, users);
    assert!(most < before + 64 * 1024, "{before} kB before, {most} kB at most");
}

/// Resident memory of a process, kB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
