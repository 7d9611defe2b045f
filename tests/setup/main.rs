//! `setup`, `doctor` and `status` as an operator meets them: what is wrong is named with its mend,
//! what is missing is made once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod kinds;
mod lasting;
mod mirror;
mod selection;
mod values;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::ExitStatus;

use axum::Router;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use support::stand::DATABASE;
use support::{Emulator, Postgres, Program, Stand};

const DOMAIN: &str = "acme.eu.auth0.com";

/// An empty tenant of this domain.
async fn tenant(domain: &str) -> Emulator {
    Emulator::with(&["--users", "0", "--domain", domain]).await
}

/// What one run of the program said.
struct Said {
    status: ExitStatus,
    out: String,
    log: String,
}

impl Said {
    fn has(&self, parts: &[&str]) {
        for part in parts {
            assert!(
                self.out.contains(part) || self.log.contains(part),
                "nothing says {part:?}:\n{}{}",
                self.out,
                self.log
            );
        }
    }

    fn succeeds(&self, parts: &[&str]) {
        assert!(self.status.success(), "it failed:\n{}{}", self.out, self.log);
        self.has(parts);
    }

    fn fails(&self, parts: &[&str]) {
        assert_eq!(self.status.code(), Some(1), "it did not fail:\n{}{}", self.out, self.log);
        self.has(parts);
    }
}

/// A Postgres with an empty database, and the configuration that leads to it.
struct Ground {
    postgres: Postgres,
    variables: Vec<(&'static str, String)>,
}

impl Ground {
    async fn new(postgres: Postgres, emulator: &Emulator) -> Self {
        postgres.create_database(DATABASE).await;
        let mut ground = Ground { postgres, variables: Vec::new() };
        ground.set("DATABASE_URL", &ground.postgres.url("auth0_sync", "service", DATABASE));
        ground.set("AUTH0_DOMAIN", DOMAIN);
        ground.set("AUTH0_BASE_URL", &emulator.url);
        ground.set("AUTH0_CLIENT_ID", &emulator.client_id);
        ground.set("AUTH0_CLIENT_SECRET", &emulator.client_secret);
        ground
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.variables.retain(|(other, _)| *other != name);
        self.variables.push((name, value.to_owned()));
    }

    async fn run(&self, args: &[&str]) -> Said {
        let variables: Vec<_> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (status, out, log) = Program::output(args, &variables).await;
        Said { status, out, log }
    }

    /// Setup with an administrator's connection.
    async fn set_up(&self, further: &[&str]) -> Said {
        let admin = self.postgres.admin_url(DATABASE);
        let mut args = vec!["setup", "--admin-url", &admin];
        args.extend(further);
        self.run(&args).await
    }

    async fn admin(&self) -> PgConnection {
        self.postgres.admin(DATABASE).await
    }

    async fn execute(&self, sql: &str) {
        self.admin().await.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    /// Everything that setup could change, with the transactions that last did.
    async fn fingerprint(&self) -> Vec<String> {
        let mut seen = Vec::new();
        let mut admin = self.admin().await;
        for catalog in [
            "pg_namespace",
            "pg_class",
            "pg_attribute",
            "pg_proc",
            "pg_trigger",
            "pg_authid",
            "pg_auth_members",
            "pg_publication",
            "pg_publication_rel",
            "pg_description",
            "pg_database",
        ] {
            let sql =
                format!("select count(*), coalesce(max(xmin::text::bigint), 0) from pg_catalog.{catalog}");
            let row = admin.fetch_one(AssertSqlSafe(sql)).await.unwrap();
            seen.push(format!("{catalog} {} {}", row.get::<i64, _>(0), row.get::<i64, _>(1)));
        }
        let slots = admin.fetch_one("select count(*) from pg_replication_slots").await.unwrap();
        seen.push(format!("slots {}", slots.get::<i64, _>(0)));
        seen
    }
}

#[tokio::test]
async fn what_is_wrong_at_auth0_is_told_apart() {
    let emulator = tenant(DOMAIN).await;
    let mut ground = Ground::new(Postgres::start(), &emulator).await;
    let admin = ground.postgres.admin_url(DATABASE);
    let args = ["setup", "--dry-run", "--admin-url", &admin];

    ground.set("AUTH0_CLIENT_SECRET", "wrong");
    ground.run(&args).await.fails(&[
        "does not accept client id and secret",
        "AUTH0_CLIENT_SECRET",
        "nothing was changed",
    ]);
    ground.set("AUTH0_CLIENT_SECRET", &emulator.client_secret);

    ground.set("AUTH0_DOMAIN", "login.acme.com");
    ground.run(&args).await.fails(&["not authorized for https://login.acme.com/api/v2/", "no custom one"]);

    ground.set("AUTH0_BASE_URL", "");
    ground.set("AUTH0_DOMAIN", "no-such-tenant.invalid");
    ground.run(&args).await.fails(&["cannot get a token from no-such-tenant.invalid", "check AUTH0_DOMAIN"]);
    ground.set("AUTH0_DOMAIN", "https://acme.eu.auth0.com/");
    ground.run(&args).await.fails(&["AUTH0_DOMAIN is a host name alone"]);
    ground.set("AUTH0_DOMAIN", DOMAIN);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, Router::new()).await });
    ground.set("AUTH0_BASE_URL", &elsewhere);
    ground.run(&args).await.fails(&["has no token endpoint", "check AUTH0_BASE_URL"]);

    let no_id: Vec<_> =
        ground.variables.iter().filter(|(name, _)| *name != "AUTH0_CLIENT_ID").cloned().collect();
    ground.variables = no_id;
    ground.run(&args).await.fails(&["AUTH0_CLIENT_ID is not set, nor auth0.client_id"]);
}

#[tokio::test]
async fn missing_scopes_are_named_with_the_tables_and_statements_that_need_them() {
    let scopes = "read:users,update:users,read:roles,read:role_members,read:organizations,read:organization_members,\
                  read:clients,read:connections,read:logs";
    let emulator = Emulator::with(&["--users", "0", "--domain", DOMAIN, "--scopes", scopes]).await;
    let mut ground = Ground::new(Postgres::start(), &emulator).await;
    // Nobody has named these tables: they stay empty, and the rest works.
    let said = ground.set_up(&["--dry-run"]).await;
    said.succeeds(&[
        "WARN  without read:tenant_settings nothing fills auth0.tenant",
        "WARN  without read:events changes of auth0.",
        "or leave out what you do not need: add \"-action\", ",
        "\"-tenant\", ",
    ]);
    let about = said.out.lines().filter(|line| line.contains("create:users")).count();
    assert_eq!(about, 1, "one line for a scope, whatever needs it:\n{}", said.out);

    ground.set("AUTH0_SYNC_OBJECTS", "user, tenant");
    let said = ground.set_up(&["--dry-run"]).await;
    said.fails(&[
        "2 of ",
        "FAIL  reading auth0.tenant needs read:tenant_settings",
        "WARN  without create:users Auth0 will refuse INSERT into auth0.user",
        "WARN  without delete:users Auth0 will refuse DELETE from auth0.user",
        "1 problem in the way",
    ]);
    assert!(!said.out.contains("reading auth0.user needs"), "{}", said.out);
    assert!(!said.out.contains("UPDATE of auth0.user\n"), "{}", said.out);
}

#[tokio::test]
async fn everything_that_is_wrong_in_postgres_is_named_at_once() {
    let emulator = tenant(DOMAIN).await;
    let settings = [("wal_level", "replica"), ("max_replication_slots", "0")];
    let ground = Ground::new(Postgres::with(&settings), &emulator).await;
    ground.execute("create schema auth0; create table auth0.\"user\" (id int)").await;
    ground.execute("create publication auth0_sync for all tables").await;
    let before = ground.fingerprint().await;
    ground.set_up(&[]).await.fails(&[
        "wal_level is replica",
        "alter system set wal_level = 'logical'",
        "all 0 replication slots are in use",
        "schema auth0 exists and belongs to postgres",
        "auth0.user exists, and auth0-sync did not make it",
        "publication auth0_sync belongs to postgres",
        "5 problems in the way; nothing was changed",
    ]);
    assert_eq!(ground.fingerprint().await, before);
}

#[tokio::test]
async fn without_an_administrator_the_sql_for_one_is_printed_and_suffices() {
    let emulator = tenant(DOMAIN).await;
    let mut ground = Ground::new(Postgres::start(), &emulator).await;
    ground
        .run(&["setup"])
        .await
        .fails(&["does not let auth0_sync in", "create role \"auth0_sync\" login replication"]);

    let url = ground.postgres.create_role("auth0_sync", "", DATABASE).await;
    ground.run(&["setup"]).await.fails(&["does not let auth0_sync in", "alter role \"auth0_sync\" password"]);
    ground.set("DATABASE_URL", &url);
    let said = ground.run(&["setup"]).await;
    said.fails(&[
        "role auth0_sync lacks rights: let role auth0_sync log in and replicate",
        "let an administrator run this",
    ]);
    let mend = said.out.split_once("let an administrator run this").unwrap().1;
    let sql: Vec<_> = mend.lines().skip(1).take_while(|line| line.trim_end().ends_with(';')).collect();
    ground.execute(&sql.join("\n")).await;
    ground.run(&["setup"]).await.succeeds(&["schema auth0 is ready"]);
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_a_second_run_neither() {
    let emulator = tenant(DOMAIN).await;
    for postgres in [Postgres::start(), Postgres::oldest()] {
        eprintln!("Postgres {}", postgres.major());
        let mut ground = Ground::new(postgres, &emulator).await;
        // A password that no URL holds as it is.
        let password = "s#e/c%r@e't";
        let encoded = "s%23e%2Fc%25r%40e't";
        ground.set("DATABASE_URL", &ground.postgres.url("auth0_sync", encoded, DATABASE));

        let before = ground.fingerprint().await;
        ground.set_up(&["--dry-run"]).await.succeeds(&[
            "create role auth0_sync",
            "create schema auth0",
            "create table auth0.user (",
            "define function auth0.wait",
            "publish inserts into auth0._sync_cdc",
            "create replication slot auth0_sync_auth0",
        ]);
        assert_eq!(ground.fingerprint().await, before);

        let said = ground.set_up(&[]).await;
        said.succeeds(&["schema auth0 is ready"]);
        assert!(!said.out.contains(password) && !said.out.contains(encoded), "{}", said.out);
        let after = ground.fingerprint().await;
        assert_ne!(after, before);
        ground.set_up(&[]).await.succeeds(&["nothing has to change"]);
        ground.run(&["setup"]).await.succeeds(&["nothing has to change"]);
        assert_eq!(ground.fingerprint().await, after);
        owned_and_granted(&ground).await;
    }
}

/// The service owns what was made; writers write and readers read.
async fn owned_and_granted(ground: &Ground) {
    let mut admin = ground.admin().await;
    let strangers = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                     where n.nspname in ('auth0', '_auth0_sync') and c.relowner <> 'auth0_sync'::regrole";
    assert_eq!(admin.fetch_one(strangers).await.unwrap().get::<i64, _>(0), 0);
    let app = ground.postgres.create_role("app", "in role auth0_writer", DATABASE).await;
    let mut app = PgConnection::connect(&app).await.unwrap();
    app.execute("insert into auth0.role (name) values ('r')").await.unwrap();
    app.execute("select * from auth0.user; select * from auth0._sync_cdc").await.unwrap();
    app.execute("select * from _auth0_sync.write_only").await.unwrap_err();
    app.execute("delete from auth0._sync_cdc").await.unwrap_err();
    let (_, url) = ground.variables.iter().find(|(name, _)| *name == "DATABASE_URL").unwrap();
    let mut service = PgConnection::connect(url).await.unwrap();
    let name = service.fetch_one("show application_name").await.unwrap();
    assert_eq!(name.get::<String, _>(0), "auth0-sync", "synchronous_standby_names goes by it");
    let viewer = ground.postgres.create_role("viewer", "in role auth0_reader", DATABASE).await;
    let mut viewer = PgConnection::connect(&viewer).await.unwrap();
    viewer.execute("select * from auth0.user; select auth0.wait()").await.unwrap();
    viewer.execute("delete from auth0.user").await.unwrap_err();
}

#[tokio::test]
async fn what_was_taken_away_is_made_again() {
    let emulator = tenant(DOMAIN).await;
    for postgres in [Postgres::start(), Postgres::oldest()] {
        let ground = Ground::new(postgres, &emulator).await;
        ground.set_up(&[]).await.succeeds(&[]);
        ground
            .execute(
                "update _auth0_sync.backfill set state = 'done', finished_at = now(); \
                 alter table auth0.\"user\" drop column nickname, drop column user_metadata cascade; \
                 alter table auth0.\"user\" add column mine int; \
                 drop trigger auth0_sync_capture_update on auth0.role; \
                 create or replace function auth0.wait_for(txid xid8, timeout interval default '1 s') returns text \
                 language sql as 'select null::text'; \
                 alter publication auth0_sync set (publish = 'insert, update'); \
                 revoke usage on schema auth0 from auth0_reader; \
                 grant execute on function auth0._user_capture(), auth0.release(xid8) to public; \
                 drop index auth0.auth0_sync_user_role_role_id; \
                 select pg_drop_replication_slot('auth0_sync_auth0')",
            )
            .await;
        ground.set_up(&[]).await.succeeds(&[
            "add column auth0.user.nickname",
            "define trigger zz_auth0_sync_judge_update on auth0.user",
            "define trigger auth0_sync_capture_update on auth0.role",
            "define function auth0.wait_for",
            "publish inserts alone",
            "let auth0_reader use schema auth0",
            "let nobody else call 2 functions of triggers",
            "index auth0.user_role (role_id)",
            "create replication slot auth0_sync_auth0",
        ]);
        ground.set_up(&[]).await.succeeds(&["nothing has to change"]);
        let waiting: Vec<String> =
            sqlx::query_scalar("select \"table\" from _auth0_sync.backfill where state = 'waiting'")
                .fetch_all(&mut ground.admin().await)
                .await
                .unwrap();
        assert_eq!(waiting, ["user"], "the new column is filled again");
        ground.execute("select mine, nickname from auth0.\"user\"").await;
    }
}

#[tokio::test]
async fn two_tenants_never_share_a_schema_and_other_peoples_things_stay() {
    let emulator = tenant(DOMAIN).await;
    let mut ground = Ground::new(Postgres::start(), &emulator).await;
    ground.set_up(&[]).await.succeeds(&[]);
    let other = tenant("other.eu.auth0.com").await;
    ground.set("AUTH0_DOMAIN", "other.eu.auth0.com");
    ground.set("AUTH0_BASE_URL", &other.url);
    ground.set("AUTH0_CLIENT_ID", &other.client_id);
    ground.set("AUTH0_CLIENT_SECRET", &other.client_secret);
    ground
        .set_up(&[])
        .await
        .fails(&["schema auth0 mirrors the tenant acme.eu.auth0.com, not other.eu.auth0.com"]);
    ground.set("AUTH0_SYNC_SCHEMA", "other");
    ground.execute("select pg_create_physical_replication_slot('auth0_sync_other')").await;
    ground.set_up(&[]).await.fails(&["slot auth0_sync_other is somebody else's"]);
    ground.set("AUTH0_SYNC_SLOT", "a_slot_of_our_own");
    ground.set_up(&[]).await.succeeds(&["schema other is ready"]);
    ground.set_up(&[]).await.succeeds(&["nothing has to change"]);
}

#[tokio::test]
async fn a_role_that_applications_could_share_is_warned_of() {
    let emulator = tenant(DOMAIN).await;
    let mut ground = Ground::new(Postgres::start(), &emulator).await;
    ground.set_up(&[]).await.succeeds(&[]);
    let url = ground.postgres.url("auth0_sync", "service", DATABASE);
    let _shell = PgConnection::connect(&format!("{url}?application_name=psql")).await.unwrap();
    ground.run(&["setup"]).await.succeeds(&["1 client session of other programs use role auth0_sync"]);
    ground.set("DATABASE_URL", &ground.postgres.admin_url(DATABASE));
    ground.run(&["setup", "--dry-run"]).await.succeeds(&["role postgres is a superuser"]);
    ground.set("DATABASE_URL", "postgres://auth0_sync:pa#ss@localhost/db");
    let said = ground.run(&["setup"]).await;
    said.fails(&["DATABASE_URL cannot be read", "percent-encoded"]);
    assert!(!said.log.contains("pa#ss"), "{}", said.log);
}

#[tokio::test]
async fn a_socket_serves_an_administrator_and_not_the_service() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let socket = folder.path().to_str().unwrap();
    let emulator = tenant(DOMAIN).await;
    let mut ground = Ground::new(Postgres::with(&[("unix_socket_directories", socket)]), &emulator).await;
    let url = url::Url::parse(&ground.postgres.admin_url(DATABASE)).unwrap();
    let by_socket = |role: &str, password: &str| {
        let port = url.port().unwrap();
        format!("postgres:///{DATABASE}?host={socket}&port={port}&user={role}&password={password}")
    };
    let admin = by_socket(url.username(), url.password().unwrap());
    ground.run(&["setup", "--admin-url", &admin]).await.succeeds(&["schema auth0 is ready"]);
    ground.set("DATABASE_URL", &by_socket("auth0_sync", "service"));
    ground.run(&["setup"]).await.fails(&["DATABASE_URL leads to a Unix socket"]);
}

#[tokio::test]
async fn a_table_that_somebody_holds_is_not_waited_for_at_length() {
    let emulator = tenant(DOMAIN).await;
    let ground = Ground::new(Postgres::start(), &emulator).await;
    ground.set_up(&[]).await.succeeds(&[]);
    ground.execute("drop trigger auth0_sync_capture_insert on auth0.role").await;
    let mut holder = ground.admin().await;
    let mut transaction = holder.begin().await.unwrap();
    transaction.execute("select from auth0.role; lock auth0.role in row exclusive mode").await.unwrap();
    ground.set_up(&[]).await.fails(&["a long transaction holds a table", "nothing was changed"]);
    transaction.rollback().await.unwrap();
    ground.set_up(&[]).await.succeeds(&["define trigger auth0_sync_capture_insert on auth0.role"]);
}

#[tokio::test]
async fn two_setups_at_once_both_succeed() {
    let emulator = tenant(DOMAIN).await;
    let ground = Ground::new(Postgres::start(), &emulator).await;
    let roles = "create role auth0_sync login replication password 'service'; create role auth0_reader; \
                 create role auth0_writer in role auth0_reader";
    ground.execute(&format!("{roles}; grant connect, create on database {DATABASE} to auth0_sync")).await;
    let (one, other) = tokio::join!(ground.run(&["setup"]), ground.run(&["setup"]));
    one.succeeds(&[]);
    other.succeeds(&[]);
    ground.run(&["setup"]).await.succeeds(&["nothing has to change"]);
}

#[tokio::test]
async fn doctor_and_status_tell_how_the_service_does() {
    let mut stand = Stand::start(3).await;
    let listen = stand.ready["status_url"].as_str().unwrap().split_once("://").unwrap().1.to_owned();
    let mut variables = stand.variables();
    variables.retain(|(name, _)| *name != "AUTH0_SYNC_STATUS_LISTEN");
    variables.push(("AUTH0_SYNC_STATUS_LISTEN", listen));
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let run = async |args: &[&str]| {
        let (status, out, log) = Program::output(args, &variables).await;
        Said { status, out, log }
    };
    run(&["doctor"]).await.succeeds(&[
        "ways to write: async, wait, strict",
        "the service answers",
        "every mutation is settled",
        "nothing is wrong",
    ]);
    let said = run(&["status", "--json"]).await;
    said.succeeds(&[]);
    let status: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(status["tables"]["user"]["rows"], 3, "{status:#}");
    assert_eq!(status["tables"]["user"]["backfill"], "done");
    assert_eq!(status["service"]["ready"], true);

    stand.kill_service().await;
    let app = stand.app().await;
    sqlx::query("update auth0.\"user\" set nickname = 'n'").execute(&app).await.unwrap();
    stand.admin().await.execute("drop trigger auth0_sync_capture_insert on auth0.role").await.unwrap();
    run(&["doctor"]).await.fails(&[
        "to be done: define trigger auth0_sync_capture_insert on auth0.role",
        "nobody reads from slot",
        "no service answers at",
        "unsettled mutations: 3",
        "3 problems",
    ]);
    run(&["status"]).await.succeeds(&[
        "3 pending; the oldest is",
        "not read by anybody",
        "no service answers",
    ]);
}
