//! The replication stream against real Postgres servers, the newest and the oldest supported.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it, in its own functions too")]

mod support;

use std::time::Duration;

use auth0_sync::error::Kind;
use auth0_sync::wal::{
    Event, Inserts, Lsn, MAX_IDS, Settings, SlotState, Stream, drop_slot, ensure_slot, renew_slot,
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use support::{Postgres, wait_until};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);

/// A database with a published table of mutations, as the schema makes it, and its slot.
struct Bell {
    postgres: Postgres,
    admin: PgConnection,
    settings: Settings,
}

impl Bell {
    async fn new(postgres: Postgres) -> Self {
        let mut admin = postgres.admin("postgres").await;
        for sql in [
            "create schema auth0",
            "create table auth0._sync_cdc (txid xid8 default pg_current_xact_id(), note text,
                id bigint generated always as identity primary key)",
            "create table other (x text)",
            "create publication auth0_sync for table auth0._sync_cdc with (publish = 'insert')",
        ] {
            admin.execute(AssertSqlSafe(sql)).await.unwrap();
        }
        let url = postgres.create_role("bell", "replication", "postgres").await;
        let settings = Settings { heartbeat: Duration::from_millis(500), ..Settings::new(url) };
        Bell { postgres, admin, settings }
    }

    async fn both() -> [Self; 2] {
        [Bell::new(Postgres::start()).await, Bell::new(Postgres::oldest()).await]
    }

    async fn stream(&self) -> Stream {
        ensure_slot(&self.settings).await.unwrap();
        Stream::start(&self.settings).await.unwrap()
    }

    async fn run(&mut self, sql: &str) {
        self.admin.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    async fn insert(&mut self, count: u32) {
        self.run(&format!("insert into auth0._sync_cdc (note) select 'n' from generate_series(1, {count})"))
            .await;
    }

    async fn text(&mut self, sql: &str) -> String {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.admin).await.unwrap()
    }

    async fn confirmed(&mut self) -> Lsn {
        let sql = "select confirmed_flush_lsn::text from pg_replication_slots where slot_name = 'auth0_sync'";
        self.text(sql).await.parse().unwrap()
    }

    async fn end_of_wal(&mut self) -> Lsn {
        self.text("select pg_current_wal_lsn()::text").await.parse().unwrap()
    }

    /// Waits until the slot stands at or behind `lsn`; somebody must read the stream meanwhile.
    async fn slot_reaches(&mut self, lsn: Lsn) {
        let reached = async { while self.confirmed().await < lsn {} };
        timeout(SOON, reached).await.expect("the slot stands still");
    }

    /// A walsender that was ended, or whose client left, holds the slot for a moment more.
    async fn slot_is_free(&mut self) {
        let free =
            async { while self.text("select active::text from pg_replication_slots").await == "true" {} };
        timeout(SOON, free).await.expect("the slot stays in use");
    }

    async fn end_walsender(&mut self) {
        let sql = "select pg_terminate_backend(active_pid)::text from pg_replication_slots where active";
        assert_eq!(self.text(sql).await, "true");
    }
}

/// The next commit; heartbeats are passed over.
async fn commit(stream: &mut Stream) -> (u32, Lsn, Inserts) {
    let next = async {
        loop {
            if let Event::Commit { xid, lsn, inserts, .. } = stream.next().await.unwrap() {
                return (xid, lsn, inserts);
            }
        }
    };
    timeout(SOON, next).await.expect("no commit came")
}

fn ids(inserts: &Inserts) -> Vec<i64> {
    match inserts {
        Inserts::Each(inserts) => {
            assert!(inserts.iter().all(|insert| &*insert.schema == "auth0"));
            inserts.iter().map(|insert| insert.id).collect()
        }
        Inserts::Bulk(_) => panic!("{inserts:?}"),
    }
}

/// The error that ends a stream.
async fn end(stream: &mut Stream) -> auth0_sync::Error {
    let ended = async {
        loop {
            if let Err(error) = stream.next().await {
                return error;
            }
        }
    };
    timeout(SOON, ended).await.expect("the stream goes on")
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_arrive_in_order_with_their_ids_and_rolled_back_ones_do_not() {
    for mut bell in Bell::both().await {
        let mut stream = bell.stream().await;
        bell.insert(2).await;
        bell.run("begin; insert into auth0._sync_cdc (note) values ('never'); rollback").await;
        bell.run("insert into other values ('x')").await;
        let xid = bell
            .text("with i as (insert into auth0._sync_cdc (note) values ('n')) select pg_current_xact_id()::text")
            .await;
        // A transaction that began first and commits last comes last.
        let mut slow = bell.postgres.admin("postgres").await;
        slow.execute("begin; insert into auth0._sync_cdc (note) values ('slow')").await.unwrap();
        bell.insert(1).await;
        slow.execute("commit").await.unwrap();

        let (_, first, inserts) = commit(&mut stream).await;
        assert_eq!(ids(&inserts), [1, 2]);
        let (told, second, inserts) = commit(&mut stream).await;
        assert_eq!((told.to_string(), ids(&inserts)), (xid, vec![4]));
        let (_, third, inserts) = commit(&mut stream).await;
        assert_eq!(ids(&inserts), [6]);
        let (_, fourth, inserts) = commit(&mut stream).await;
        assert_eq!(ids(&inserts), [5]);
        assert!(first < second && second < third && third < fourth);
        bell.slot_reaches(fourth).await;
        stream.stop().await;
    }
}

#[tokio::test]
async fn it_runs_on_a_runtime_of_one_thread_too() {
    let mut bell = Bell::new(Postgres::start()).await;
    let mut stream = bell.stream().await;
    bell.insert(1).await;
    assert_eq!(ids(&commit(&mut stream).await.2), [1]);
    stream.stop().await;
}

/// This process' memory in use, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_inserts_in_one_transaction_are_counted_not_held() {
    for mut bell in Bell::both().await {
        let mut stream = bell.stream().await;
        bell.insert(1).await;
        commit(&mut stream).await;
        let before = memory();
        // With rows of 1 kB, holding them would take 100 MB.
        bell.run(
            "insert into auth0._sync_cdc (note) select repeat('x', 1000) from generate_series(1, 100000)",
        )
        .await;
        let (_, lsn, inserts) = commit(&mut stream).await;
        let grown = memory().saturating_sub(before);
        let Inserts::Bulk(bulk) = inserts else { panic!("held {MAX_IDS} and more") };
        assert_eq!((bulk.len(), bulk[0].count), (1, 100_000));
        assert_eq!((bulk[0].first_id, bulk[0].last_id, &*bulk[0].schema), (2, 100_001, "auth0"));
        println!("Postgres {}: {grown} KiB more for a transaction of 100 MB", bell.postgres.major());
        assert!(grown < 40_000, "{grown} KiB");
        bell.insert(1).await;
        assert_eq!(ids(&commit(&mut stream).await.2), [100_002]);
        bell.slot_reaches(lsn).await;
        stream.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_advances_while_others_write_and_nobody_touches_the_publication() {
    for mut bell in Bell::both().await {
        let mut stream = bell.stream().await;
        let start = bell.confirmed().await;
        bell.run("insert into other select repeat('x', 1000) from generate_series(1, 50000)").await;
        let written = bell.end_of_wal().await;
        assert!(written.0 - start.0 > 50_000_000);
        bell.slot_reaches(written).await;
        // The owner hears of it, and what it applies is reported apart from what is flushed.
        let heard = async {
            loop {
                if let Event::Heartbeat { lsn } = stream.next().await.unwrap()
                    && lsn >= written
                {
                    return lsn;
                }
            }
        };
        let lsn = timeout(SOON, heard).await.expect("no heartbeat came");
        let applied = "select coalesce(replay_lsn::text, '0/0') from pg_stat_replication";
        assert_eq!(bell.text(applied).await, "0/0");
        stream.applied().set(lsn);
        wait_until("the applied position arrives", SOON, async || {
            let mut admin = bell.postgres.admin("postgres").await;
            let text: String = sqlx::query_scalar(applied).fetch_one(&mut admin).await.unwrap();
            admin.close().await.unwrap();
            text == lsn.to_string()
        })
        .await;
        stream.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_owner_does_not_keep_wal_or_time_out() {
    let mut bell = Bell::new(Postgres::with(&[("wal_sender_timeout", "2s")])).await;
    let mut stream = bell.stream().await;
    // More transactions than can wait for the owner, who does not look for longer than the timeout.
    for _ in 0..200 {
        bell.insert(1).await;
    }
    bell.run("select pg_sleep(4)").await;
    let mut seen = Vec::new();
    while seen.len() < 200 {
        seen.extend(ids(&commit(&mut stream).await.2));
    }
    assert_eq!(seen, (1..=200).collect::<Vec<_>>());
    stream.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_slot_is_told_and_made_anew() {
    for mut bell in Bell::both().await {
        let mut stream = bell.stream().await;
        bell.insert(1).await;
        commit(&mut stream).await;
        // A slot in use cannot be dropped: whoever does it ends the walsender first.
        bell.end_walsender().await;
        assert_eq!(end(&mut stream).await.kind(), Kind::DatabaseUnavailable);
        drop(stream);
        bell.slot_is_free().await;
        bell.run("select pg_drop_replication_slot('auth0_sync')").await;
        let error = Stream::start(&bell.settings).await.unwrap_err();
        assert_eq!(error.kind(), Kind::SlotLost, "{error}");
        assert_eq!(ensure_slot(&bell.settings).await.unwrap(), SlotState::Created);
        let mut stream = Stream::start(&bell.settings).await.unwrap();
        bell.insert(1).await;
        assert_eq!(ids(&commit(&mut stream).await.2), [2]);
        stream.stop().await;
        bell.slot_is_free().await;
        assert!(drop_slot(&bell.settings).await.unwrap());
        assert!(!drop_slot(&bell.settings).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_postgres_invalidated_is_told_and_made_anew() {
    let settings = [("max_slot_wal_keep_size", "1MB"), ("max_wal_size", "32MB"), ("min_wal_size", "32MB")];
    for postgres in [Postgres::with(&settings), Postgres::oldest_with(&settings)] {
        let mut bell = Bell::new(postgres).await;
        assert_eq!(ensure_slot(&bell.settings).await.unwrap(), SlotState::Created);
        let existing = ensure_slot(&bell.settings).await.unwrap();
        assert_eq!(existing, SlotState::Existing { confirmed_flush_lsn: bell.confirmed().await });
        while bell.text("select wal_status from pg_replication_slots").await != "lost" {
            bell.run("insert into other select repeat('x', 1000) from generate_series(1, 20000)").await;
            bell.run("select pg_switch_wal()").await;
            bell.run("checkpoint").await;
        }
        let error = Stream::start(&bell.settings).await.unwrap_err();
        assert_eq!(error.kind(), Kind::SlotLost, "{error}");
        assert_eq!(ensure_slot(&bell.settings).await.unwrap(), SlotState::Created);
        let mut stream = Stream::start(&bell.settings).await.unwrap();
        bell.insert(1).await;
        assert_eq!(ids(&commit(&mut stream).await.2), [1]);
        stream.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_publication_is_told_and_one_made_anew_rings_again() {
    for mut bell in Bell::both().await {
        bell.stream().await.stop().await;
        bell.slot_is_free().await;
        bell.run("drop publication auth0_sync").await;
        bell.insert(1).await;
        assert_eq!(Stream::start(&bell.settings).await.unwrap_err().kind(), Kind::Replication);
        bell.run("create publication auth0_sync for table auth0._sync_cdc with (publish = 'insert')").await;
        let mut stream = Stream::start(&bell.settings).await.unwrap();
        // What was written without a publication: before Postgres 18 an error that a new slot
        // mends, since then left out.
        if bell.postgres.major() < 18 {
            let error = end(&mut stream).await;
            assert_eq!(error.kind(), Kind::SlotLost, "{error}");
            stream.stop().await;
            bell.slot_is_free().await;
            renew_slot(&bell.settings).await.unwrap();
            stream = Stream::start(&bell.settings).await.unwrap();
        }
        bell.insert(1).await;
        assert_eq!(ids(&commit(&mut stream).await.2), [2]);
        stream.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_killed_walsender_nothing_is_missing() {
    for mut bell in Bell::both().await {
        let mut stream = bell.stream().await;
        let mut seen = std::collections::BTreeSet::new();
        for round in 1..=5 {
            bell.insert(100).await;
            if round == 3 {
                bell.run("insert into auth0._sync_cdc (note) select repeat('x', 1000) from generate_series(1, 9000)").await;
            }
            bell.end_walsender().await;
            bell.insert(100).await;
            loop {
                match timeout(SOON, stream.next()).await.expect("neither event nor error") {
                    Ok(Event::Commit { inserts, .. }) => seen.extend(ids(&inserts)),
                    Ok(Event::Heartbeat { .. } | Event::Question { .. }) => {}
                    Err(error) => {
                        assert_eq!(error.kind(), Kind::DatabaseUnavailable, "{error}");
                        break;
                    }
                }
            }
            bell.slot_is_free().await;
            stream = Stream::start(&bell.settings).await.unwrap();
        }
        let all: i64 = 5 * 200 + 9000;
        while seen.len() < all as usize {
            seen.extend(ids(&commit(&mut stream).await.2));
        }
        assert!(seen.into_iter().eq(1..=all));
        stream.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_ends_the_stream_and_a_role_without_replication_is_named() {
    let mut bell = Bell::new(Postgres::start()).await;
    let mut stream = bell.stream().await;
    let url = bell.postgres.create_role("plain", "", "postgres").await;
    let plain = Settings { slot: "other".into(), ..Settings::new(url) };
    assert_eq!(ensure_slot(&plain).await.unwrap_err().kind(), Kind::DatabasePrivilege);
    assert_eq!(Stream::start(&plain).await.unwrap_err().kind(), Kind::DatabasePrivilege);
    let wrong = Settings::new(bell.postgres.url("bell", "wrong", "postgres"));
    assert_eq!(Stream::start(&wrong).await.unwrap_err().kind(), Kind::DatabaseLogin);
    assert_eq!(ensure_slot(&wrong).await.unwrap_err().kind(), Kind::DatabaseLogin);
    // The slot is in use.
    assert_eq!(Stream::start(&bell.settings).await.unwrap_err().kind(), Kind::Replication);
    bell.postgres.kill();
    assert_eq!(end(&mut stream).await.kind(), Kind::DatabaseUnavailable);
    assert_eq!(Stream::start(&bell.settings).await.unwrap_err().kind(), Kind::DatabaseUnavailable);
    bell.postgres.restart();
    bell.admin = bell.postgres.admin("postgres").await;
    let mut stream = Stream::start(&bell.settings).await.unwrap();
    bell.insert(1).await;
    assert_eq!(ids(&commit(&mut stream).await.2).len(), 1);
    stream.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walsender_that_hangs_is_given_up() {
    let mut bell = Bell::new(Postgres::start()).await;
    let mut stream = bell.stream().await;
    let pid = bell.text("select active_pid::text from pg_replication_slots where active").await;
    let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let error = end(&mut stream).await;
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    assert_eq!(error.kind(), Kind::DatabaseUnavailable, "{error}");
    stream.stop().await;
    bell.slot_is_free().await;
    let mut stream = Stream::start(&bell.settings).await.unwrap();
    bell.insert(1).await;
    assert_eq!(ids(&commit(&mut stream).await.2), [1]);
    stream.stop().await;
}
