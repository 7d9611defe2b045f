//! The Postgres clusters that `dev` and the tests run on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use sqlx::{Connection, Executor, PgConnection, Row};
use support::{Postgres, wait_until};

async fn one(connection: &mut PgConnection, sql: &'static str) -> String {
    connection.fetch_one(sql).await.unwrap().get(0)
}

#[tokio::test]
async fn the_newest_and_the_oldest_postgres_start_with_logical_replication() {
    for postgres in [Postgres::start(), Postgres::oldest()] {
        let major = postgres.major();
        eprintln!("Postgres {major}");
        let mut admin = postgres.admin("postgres").await;
        assert_eq!(one(&mut admin, "show wal_level").await, "logical");
        assert!(one(&mut admin, "show server_version").await.starts_with(&format!("{major}.")));
        assert_eq!(one(&mut admin, "show server_encoding").await, "UTF8");
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_every_process_was_killed() {
    let mut postgres = Postgres::start();
    let mut admin = postgres.admin("postgres").await;
    admin.execute("create table kept (id int primary key); insert into kept values (1)").await.unwrap();
    postgres.kill();
    assert!(admin.ping().await.is_err());
    let begun = Instant::now();
    postgres.restart();
    let took = begun.elapsed();
    let mut admin = postgres.admin("postgres").await;
    assert_eq!(one(&mut admin, "select count(*)::text from kept").await, "1");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_password_is_asked_for() {
    let postgres = Postgres::start();
    let url = postgres.url("postgres", "wrong", "postgres");
    let error = PgConnection::connect(&url).await.unwrap_err();
    let code = error.as_database_error().and_then(|error| error.code().map(|code| code.to_string()));
    assert_eq!(code.as_deref(), Some("28P01"));
}

#[tokio::test]
async fn a_stopped_server_starts_again_on_its_port() {
    let mut postgres = Postgres::start();
    let url = postgres.create_role("app", "", "postgres").await;
    postgres.stop();
    assert!(PgConnection::connect(&url).await.is_err());
    postgres.restart();
    wait_until("the role logs in", Duration::from_secs(5), async || {
        PgConnection::connect(&url).await.is_ok()
    })
    .await;
}
