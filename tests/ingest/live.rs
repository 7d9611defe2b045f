//! Changes made at Auth0 while the service runs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Api, Emulator, Postgres, Stand, wait_until};
use crate::{becomes, calls, count, execute, log_is_read, path, same, text, user};

async fn make(api: &Api, path: &str, body: Value, key: &str) -> String {
    api.post(path, body).await[key].as_str().unwrap().to_owned()
}

async fn remove_with(api: &Api, path: &str, body: Value) {
    let (status, answer) = api.send(reqwest::Method::DELETE, path, Some(&body)).await;
    assert!(status.is_success(), "{path}: {answer}");
}

#[tokio::test]
async fn changes_at_auth0_are_in_the_tables_within_seconds() {
    let stand = Stand::start(30).await;
    let (api, pool) = (&stand.emulator.api, stand.admin().await);
    let new_user = json!({"connection": "Username-Password-Authentication", "email": "new@example.com", "password": "Aa1!aaaaaaaa"});
    let made_user = make(api, "/api/v2/users", new_user, "user_id").await;
    let role = make(api, "/api/v2/roles", json!({"name": "guard", "description": "d"}), "id").await;
    let organization =
        make(api, "/api/v2/organizations", json!({"name": "hooli", "display_name": "Hooli"}), "id").await;
    let client = make(api, "/api/v2/clients", json!({"name": "App", "app_type": "spa"}), "client_id").await;
    let connection =
        make(api, "/api/v2/connections", json!({"name": "Own", "strategy": "auth0"}), "id").await;
    same(&stand).await;

    let roles = format!("{}/roles", path(&made_user));
    let members = format!("/api/v2/organizations/{organization}/members");
    api.post(&roles, json!({"roles": [role]})).await;
    api.post(&members, json!({"members": [made_user, user(&pool, 0).await]})).await;
    api.patch(&path(&made_user), json!({"nickname": "n", "user_metadata": {"a": {"b": 1}}})).await;
    api.patch(&format!("/api/v2/roles/{role}"), json!({"description": "other"})).await;
    api.patch(&format!("/api/v2/organizations/{organization}"), json!({"metadata": {"k": "v"}})).await;
    api.patch(&format!("/api/v2/clients/{client}"), json!({"callbacks": ["https://a.example.com"]})).await;
    api.patch(&format!("/api/v2/connections/{connection}"), json!({"is_domain_connection": true})).await;
    api.patch("/api/v2/tenants/settings", json!({"friendly_name": "Friends"})).await;
    same(&stand).await;
    assert_eq!(text(&pool, "select friendly_name from auth0.tenant").await.as_deref(), Some("Friends"));

    let others = user(&pool, 0).await;
    remove_with(api, &members, json!({"members": [others]})).await;
    remove_with(api, &roles, json!({"roles": [role]})).await;
    same(&stand).await;

    api.delete(&path(&made_user)).await;
    api.delete(&format!("/api/v2/roles/{role}")).await;
    api.delete(&format!("/api/v2/organizations/{organization}")).await;
    api.delete(&format!("/api/v2/clients/{client}")).await;
    api.delete(&format!("/api/v2/connections/{connection}")).await;
    same(&stand).await;
    let gone = format!("select count(*) from auth0.\"user\" where user_id = '{made_user}'");
    assert_eq!(count(&pool, &gone).await, 0);
}

#[tokio::test]
async fn a_role_deleted_at_auth0_takes_its_assignments_along() {
    let stand = Stand::start(30).await;
    let pool = stand.admin().await;
    let role = text(&pool, "select role_id from auth0.user_role limit 1").await.unwrap();
    stand.emulator.api.delete(&format!("/api/v2/roles/{role}")).await;
    same(&stand).await;
    assert_eq!(
        count(&pool, &format!("select count(*) from auth0.user_role where role_id = '{role}'")).await,
        0
    );
    assert!(count(&pool, "select count(*) from auth0.user_role").await > 0, "the others stay");
}

#[tokio::test]
async fn our_own_writes_cost_no_reading() {
    let stand = Stand::start(30).await;
    let (app, pool) = (stand.app().await, stand.admin().await);
    stand.emulator.api.delete("/_emulator/calls").await;
    execute(&app, "update auth0.\"user\" set nickname = 'x' where user_id in (select user_id from auth0.\"user\" limit 10)").await;
    execute(&app, "insert into auth0.organization (name) values ('ours')").await;
    same(&stand).await;
    log_is_read(&stand, &pool).await;
    assert_eq!(calls(&stand, "PATCH /users").await, 10);
    assert_eq!(calls(&stand, "GET /users").await, 0);
    assert_eq!(calls(&stand, "GET /organizations").await, 0);
    assert_eq!(calls(&stand, "GET /roles").await, 1, "only the other's role is read");
}

#[tokio::test]
async fn what_the_catalogue_does_not_know_is_stored() {
    let stand = Stand::start(3).await;
    let pool = stand.admin().await;
    let (id, user_id) = ("ffffffffffffffffffffffff", "auth0|ffffffffffffffffffffffff");
    let strange = json!({"id": "con_ffffffffffffffff", "name": "Strange", "strategy": "telepathy", "options": {}, "aura": ["blue"]});
    let person = json!({"user_id": user_id, "email": "not an address", "name": "", "halo": {"colour": "gold"},
        "identities": [{"connection": "Strange", "user_id": id, "provider": "auth0", "isSocial": false}],
        "created_at": "2024-01-01T00:00:00.000Z", "updated_at": "2024-01-01T00:00:00.000Z", "logins_count": "many"});
    stand
        .emulator
        .api
        .post("/_emulator/preload", json!({"collections": {"/connections": [strange], "/users": [person]}}))
        .await;
    // Preloading leaves no log: other calls name the rows.
    stand.emulator.api.patch(&path(user_id), json!({"user_metadata": {"a": 1}})).await;
    stand
        .emulator
        .api
        .patch("/api/v2/connections/con_ffffffffffffffff", json!({"is_domain_connection": true}))
        .await;
    becomes(&pool, "select strategy from auth0.connection where name = 'Strange'", "telepathy").await;
    same(&stand).await;
    let sql = format!(
        "select concat(email, ' ', extra ->> 'halo', ' ', extra ->> 'logins_count') from auth0.\"user\" where user_id = '{user_id}'"
    );
    assert_eq!(text(&pool, &sql).await.as_deref(), Some("not an address {\"colour\": \"gold\"} many"));
}

/// Changes whose way into the tables is timed, and the time between two of them.
const TIMED: usize = 50;
const BETWEEN: Duration = Duration::from_millis(150);

/// Makes the n-th change at Auth0; the rows of which there are some once it is in its table.
async fn change(api: &Api, (users, role, organization): (&[&str], &str, &str), n: usize) -> String {
    let value = format!("timed {n}");
    // Of a row that is changed again and again a later value tells too.
    let since = |rows: &str, column: &str| {
        format!(
            "select count(*) from auth0.{rows} and {column} like 'timed _%' and substr({column}, 7)::int >= {n}"
        )
    };
    match n % 6 {
        0 | 1 => {
            let user = users[n % users.len()];
            api.patch(&path(user), json!({"nickname": value})).await;
            since(&format!("\"user\" where user_id = '{user}'"), "nickname")
        }
        2 => {
            api.patch(&format!("/api/v2/roles/{role}"), json!({"description": value})).await;
            since(&format!("role where id = '{role}'"), "description")
        }
        3 => {
            api.patch(&format!("/api/v2/organizations/{organization}"), json!({"display_name": value})).await;
            since(&format!("organization where id = '{organization}'"), "display_name")
        }
        4 => {
            api.post("/api/v2/clients", json!({"name": value})).await;
            format!("select count(*) from auth0.client where name = '{value}'")
        }
        _ => {
            api.patch("/api/v2/tenants/settings", json!({"friendly_name": value})).await;
            since("tenant where true", "friendly_name")
        }
    }
}

#[tokio::test]
async fn by_the_log_alone_a_change_is_in_the_table_within_ten_seconds() {
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(30).await).await;
    // All else as it comes: no events, no webhook, and the log at its usual pace.
    stand.configuration = "events = false\n".to_owned();
    stand.restart_service().await;
    let (api, pool) = (&stand.emulator.api, stand.admin().await);
    let users = text(&pool, "select string_agg(user_id, ' ') from auth0.\"user\"").await.unwrap();
    let users: Vec<&str> = users.split(' ').collect();
    let role = make(api, "/api/v2/roles", json!({"name": "timed"}), "id").await;
    let organization = make(api, "/api/v2/organizations", json!({"name": "timed"}), "id").await;
    same(&stand).await;

    let (mut made, mut open, mut times) = (0, Vec::new(), Vec::new());
    let mut last = Instant::now();
    wait_until("every change is in its table", Duration::from_secs(60), async || {
        if made < TIMED && last.elapsed() >= BETWEEN {
            let rows = change(api, (&users, &role, &organization), made).await;
            (made, last) = (made + 1, Instant::now());
            open.push((rows, last));
        }
        let mut still = Vec::new();
        for (rows, since) in open.drain(..) {
            match count(&pool, &rows).await {
                0 => still.push((rows, since)),
                _ => times.push(since.elapsed()),
            }
        }
        open = still;
        times.len() == TIMED
    })
    .await;
    times.sort_unstable();
    let (half, p95, longest) = (times[TIMED / 2], times[TIMED * 95 / 100], times[TIMED - 1]);
    println!("{TIMED} changes by the log alone: p50 {half:?}, p95 {p95:?}, longest {longest:?}");
    assert!(p95 < Duration::from_secs(10), "{times:?}");
    same(&stand).await;
}
