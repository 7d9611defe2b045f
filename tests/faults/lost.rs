//! Answers that never come: each write is done exactly once.

use serde_json::{Value, json};

use crate::support::{Emulator, Postgres, Session, Stand, equal, wait_for, wait_until};

const SOON: std::time::Duration = std::time::Duration::from_secs(15);

/// Method, path, SQL; `{n}` makes names of a round its own.
const WRITES: &[(&str, &str, &str)] = &[
    (
        "POST",
        "/users$",
        "insert into auth0.user (user_id, email, connection, password) values \
         ('auth0|lost{n}', 'lost{n}@example.com', 'Username-Password-Authentication', 'long-enough-1')",
    ),
    ("POST", "/roles$", "insert into auth0.role (name, description) values ('lost{n}', 'x')"),
    ("POST", "/organizations$", "insert into auth0.organization (name) values ('lost{n}')"),
    ("POST", "/clients$", "insert into auth0.client (name) values ('lost{n}')"),
    (
        "POST",
        "/members$",
        "insert into auth0.organization_member select id, 'auth0|lost{n}' from auth0.organization where name = 'lost{n}'",
    ),
    (
        "POST",
        "/users/[^/]+/roles$",
        "insert into auth0.user_role select 'auth0|lost{n}', id from auth0.role where name = 'lost{n}'",
    ),
    (
        "PATCH",
        "/users/",
        "update auth0.user set nickname = 'found{n}', user_metadata = '{\"a\": {n}}' where user_id = 'auth0|lost{n}'",
    ),
    ("PATCH", "/users/", "update auth0.user set password = 'long-enough-2' where user_id = 'auth0|lost{n}'"),
    ("PATCH", "/roles/", "update auth0.role set description = 'found' where name = 'lost{n}'"),
    (
        "PATCH",
        "/organizations/",
        "update auth0.organization set display_name = 'found' where name = 'lost{n}'",
    ),
    ("PATCH", "/clients/", "update auth0.client set description = 'found' where name = 'lost{n}'"),
    ("DELETE", "/members$", "delete from auth0.organization_member where user_id = 'auth0|lost{n}'"),
    ("DELETE", "/users/[^/]+/roles$", "delete from auth0.user_role where user_id = 'auth0|lost{n}'"),
    ("DELETE", "/users/[^/]+$", "delete from auth0.user where user_id = 'auth0|lost{n}'"),
    ("DELETE", "/roles/", "delete from auth0.role where name = 'lost{n}'"),
    ("DELETE", "/organizations/[^/]+$", "delete from auth0.organization where name = 'lost{n}'"),
    ("DELETE", "/clients/", "delete from auth0.client where name = 'lost{n}'"),
];

/// The same for tables of other shapes; names of the stand's tables first.
const TABLES: &[&str] = &[
    "user",
    "role",
    "role_permission",
    "resource_server",
    "organization",
    "organization_member",
    "organization_member_role",
    "organization_discovery_domain",
    "action",
    "action_trigger",
    "action_trigger_binding",
    "guardian_policy",
    "branding_universal_login_template",
];
const SHAPES: &[(&str, &str, &str)] = &[
    ("POST", "/organizations$", "insert into auth0.organization (name) values ('lost{n}')"),
    (
        "POST",
        "/discovery-domains$",
        "insert into auth0.organization_discovery_domain (organization_id, domain) \
         select id, 'lost{n}.example' from auth0.organization where name = 'lost{n}'",
    ),
    (
        "PATCH",
        "/discovery-domains/",
        "update auth0.organization_discovery_domain set status = 'verified' where domain = 'lost{n}.example'",
    ),
    (
        "DELETE",
        "/discovery-domains/",
        "delete from auth0.organization_discovery_domain where domain = 'lost{n}.example'",
    ),
    (
        "POST",
        "/members$",
        "insert into auth0.organization_member select id, (select min(user_id) from auth0.user) \
         from auth0.organization where name = 'lost{n}'",
    ),
    (
        "POST",
        "/members/[^/]+/roles$",
        "insert into auth0.organization_member_role (organization_id, user_id, role_id) \
         select id, (select min(user_id) from auth0.user), (select min(id) from auth0.role) \
         from auth0.organization where name = 'lost{n}'",
    ),
    (
        "DELETE",
        "/members/[^/]+/roles$",
        "delete from auth0.organization_member_role where organization_id = (select id from auth0.organization where name = 'lost{n}')",
    ),
    (
        "POST",
        "/resource-servers$",
        "insert into auth0.resource_server (name, identifier, scopes) \
         values ('lost{n}', 'https://lost{n}.example', '[{\"value\": \"read:all\"}]')",
    ),
    (
        "POST",
        "/roles/[^/]+/permissions$",
        "insert into auth0.role_permission (role_id, resource_server_identifier, permission_name) \
         select min(id), 'https://lost{n}.example', 'read:all' from auth0.role",
    ),
    (
        "DELETE",
        "/roles/[^/]+/permissions$",
        "delete from auth0.role_permission where resource_server_identifier = 'https://lost{n}.example'",
    ),
    (
        "POST",
        "/actions/actions$",
        "insert into auth0.action (name, supported_triggers, code, deploy) values \
         ('lost{n}', '[{\"id\": \"post-login\", \"version\": \"v3\"}]', 'exports.onExecutePostLogin = async () => {};', true)",
    ),
    (
        "PATCH",
        "/bindings$",
        "insert into auth0.action_trigger_binding (trigger_id, action_id, display_name) \
         select 'post-login', id, name from auth0.action where name = 'lost{n}'",
    ),
    (
        "PATCH",
        "/bindings$",
        "update auth0.action_trigger_binding set display_name = 'found{n}' where display_name = 'lost{n}'",
    ),
    ("PATCH", "/bindings$", "delete from auth0.action_trigger_binding where display_name = 'found{n}'"),
    ("PUT", "/guardian/policies$", "update auth0.guardian_policy set policies = '{all-applications}'"),
    ("PUT", "/guardian/policies$", "update auth0.guardian_policy set policies = '{}'"),
    (
        "PUT",
        "/universal-login$",
        "insert into auth0.branding_universal_login_template (body) values ('<!DOCTYPE html><html><head>{%- auth0:head -%}</head><body>{%- auth0:widget -%}</body></html>')",
    ),
    (
        "PUT",
        "/universal-login$",
        "update auth0.branding_universal_login_template set body = replace(body, '<body>', '<body>found')",
    ),
    ("DELETE", "/universal-login$", "delete from auth0.branding_universal_login_template"),
];

async fn every_write_survives(stand: &Stand, fault: Value, n: u32) {
    each_survives(stand, WRITES, fault, n).await;
}

async fn each_survives(stand: &Stand, writes: &[(&str, &str, &str)], fault: Value, n: u32) {
    let mut session = stand.session().await;
    for (method, path, sql) in writes {
        let mut order = fault.clone();
        order["match"] = json!({"method": method, "path": path});
        order["times"] = 1.into();
        stand.emulator.fault(order).await;
        let sql = sql.replace("{n}", &n.to_string());
        session.confirmed(&sql).await;
        let left = stand.emulator.api.post("/_emulator/faults", json!({})).await;
        assert_eq!(left["faults"], 0, "the fault hit: {sql}");
        once(&mut session, stand, &sql, n).await;
    }
    let made = session.count("select count(*) from auth0._sync_cdc where state <> 'confirmed'").await;
    assert_eq!(made, 0, "every mutation is confirmed");
    equal(stand).await;
}

/// The created object is there exactly once.
async fn once(session: &mut Session, stand: &Stand, sql: &str, n: u32) {
    let Some(table) = ["role", "organization", "client"]
        .into_iter()
        .find(|t| sql.starts_with(&format!("insert into auth0.{t} ")))
    else {
        return;
    };
    let state = stand.emulator.state().await;
    let name = format!("lost{n}");
    let there = state[table].as_array().unwrap().iter().filter(|row| row["name"] == name.as_str()).count();
    assert_eq!(there, 1, "{sql}");
    let here = session.count(&format!("select count(*) from auth0.{table} where name = '{name}'")).await;
    assert_eq!(here, 1, "{sql}");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_found_and_not_done_again() {
    for stand in [Stand::start(4).await, Stand::oldest(4).await] {
        every_write_survives(&stand, json!({"do": "drop_after"}), 1).await;
    }
}

#[tokio::test]
async fn writes_of_every_shape_survive_a_lost_answer_and_a_cut_connection() {
    let mut stand = Stand::with_objects(Postgres::start(), Emulator::start(4).await, TABLES).await;
    stand.restart_service().await;
    for (n, fault) in (4..).zip(["drop_after", "drop_before"]) {
        each_survives(&stand, SHAPES, json!({ "do": fault }), n).await;
    }
    each_survives(&stand, SHAPES, json!({"do": "status", "status": 502}), 6).await;
}

#[tokio::test]
async fn a_write_that_was_cut_off_is_done_once() {
    let stand = Stand::start(4).await;
    every_write_survives(&stand, json!({"do": "drop_before"}), 2).await;
}

#[tokio::test]
async fn a_server_error_reverts_nothing() {
    let stand = Stand::start(4).await;
    every_write_survives(&stand, json!({"do": "status", "status": 502}), 3).await;
}

#[tokio::test]
async fn a_secret_whose_call_was_cut_off_is_sent_again_though_all_that_shows_looks_right() {
    let stand = Stand::start(4).await;
    let mut session = stand.session().await;
    let mine = "user_id = (select max(user_id) from auth0.user where identities -> 0 ->> 'connection' = 'Username-Password-Authentication')";
    for (n, fault) in ["drop_before", "drop_after"].into_iter().enumerate() {
        let order =
            json!({"match": {"method": "PATCH", "path": "/users/"}, "after": 1, "times": 1, "do": fault});
        stand.emulator.fault(order).await;
        let secret = format!("marker-of-a-lost-call-{n}");
        session
            .confirmed(&format!(
                "update auth0.user set email = 'cut-off-{n}@example.com', password = '{secret}' where {mine}"
            ))
            .await;
        assert!(stand.emulator.journal().contains(&secret), "{fault}: the password did not arrive");
    }
    equal(&stand).await;
}

#[tokio::test]
async fn a_storm_of_429_costs_nothing_but_time() {
    let stand = Stand::start(20).await;
    let mut session = stand.session().await;
    let storm = json!({"match": {"method": "PATCH"}, "times": 3, "do": "status", "status": 429});
    stand.emulator.fault(storm).await;
    session.confirmed("update auth0.user set nickname = 'in the storm'").await;
    let most = session.count("select max(attempts) from auth0._sync_cdc").await;
    assert_eq!(most, 1, "a 429 is no attempt");
    equal(&stand).await;
}

#[tokio::test]
async fn a_lost_answer_to_a_refusal_ends_in_the_refusal() {
    let stand = Stand::start(4).await;
    let mut session = stand.session().await;
    stand
        .emulator
        .fault(
            json!({"match": {"method": "POST", "path": "/organizations$"}, "times": 1, "do": "drop_before"}),
        )
        .await;
    let email = "select email from auth0.user order by user_id limit 1";
    stand.emulator.fault(json!({"match": {"method": "PATCH"}, "times": 1, "do": "drop_after"})).await;
    session.run(&format!("update auth0.user set email = ({email}) where user_id = (select max(user_id) from auth0.user where identities -> 0 ->> 'connection' = 'Username-Password-Authentication')")).await;
    assert_eq!(session.wait().await.unwrap_err().message, "[Auth0] The specified new email already exists");
    stand.emulator.fault(json!({"clear": true})).await;
    equal(&stand).await;
}

#[tokio::test]
async fn a_create_whose_row_is_seen_before_its_answer_is_not_done_again() {
    let stand = Stand::start(4).await;
    let mut session = stand.session().await;
    for (table, key) in [("role", "id"), ("client", "client_id")] {
        let list = format!("^/api/v2/{table}s$");
        stand
            .emulator
            .fault(json!({"match": {"method": "POST", "path": list}, "times": 1, "do": "drop_after"}))
            .await;
        stand
            .emulator
            .fault(
                json!({"match": {"method": "GET", "path": list}, "times": 4, "do": "status", "status": 500}),
            )
            .await;
        session.run(&format!("insert into auth0.{table} (name) values ('seen')")).await;
        let made = wait_for("Auth0 has made it", SOON, async || {
            let state = stand.emulator.state().await;
            state[table].as_array().unwrap().iter().find(|row| row["name"] == "seen").cloned()
        })
        .await;
        // Somebody else changes it: the tenant log names it before the service has its key.
        let path = format!("/{table}s/{}", made[key].as_str().unwrap());
        stand.emulator.forget_calls().await;
        stand.emulator.api.patch(&format!("/api/v2{path}"), json!({"description": "somebody else's"})).await;
        let read = format!("GET /{table}s/{{{key}}}");
        wait_until("it is read", SOON, async || stand.emulator.calls(&read).await > 0).await;
        assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
        equal(&stand).await;
        let there = stand.emulator.state().await[table].to_string().matches("\"seen\"").count();
        assert_eq!(there, 1, "{table}");
    }
}

#[tokio::test]
async fn a_lost_answer_about_a_link_whose_other_side_has_gone_is_settled() {
    let stand = Stand::start(4).await;
    let mut session = stand.session().await;
    session.confirmed("insert into auth0.role (name) values ('short-lived')").await;
    let role = session.text("select id from auth0.role where name = 'short-lived'").await;
    let user = session.text("select min(user_id) from auth0.user").await;
    let link = format!("insert into auth0.user_role (user_id, role_id) values ('{user}', '{role}')");
    session.confirmed(&link).await;
    for order in [
        json!({"match": {"method": "DELETE", "path": "/roles$"}, "times": 1, "do": "drop_after"}),
        json!({"match": {"method": "GET", "path": "^/api/v2/roles/.*/users$"}, "do": "status", "status": 503}),
    ] {
        stand.emulator.fault(order).await;
    }
    session.run(&format!("delete from auth0.user_role where role_id = '{role}'")).await;
    let state = "select state from auth0._sync_cdc order by id desc limit 1";
    wait_until("it is read back", SOON, async || session.text(state).await == "verifying").await;
    stand.emulator.api.delete(&format!("/api/v2/roles/{role}")).await;
    stand.emulator.fault(json!({"clear": true})).await;
    assert_eq!(session.wait().await, Ok("confirmed".to_owned()));
    equal(&stand).await;
}
