//! Transactions that are all or nothing at Auth0.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::postgres::PgListener;

use super::{api_user, there, user};
use crate::support::{Session, Stand, all_settled, wait_until};

const SECONDS: Duration = Duration::from_secs(20);
const ATOMIC: &str = "begin; set local auth0.atomic = on;";

/// The tables of the stand of invitations.
pub const TABLES: &[&str] = &["organization", "organization_invitation", "client", "email_template"];

/// The txid of the newest mutation, as text.
async fn last_txid(session: &mut Session) -> String {
    session.text("select txid::text from auth0._sync_cdc order by id desc limit 1").await
}

/// Users n to n + 3, and an e-mail address that the last of them cannot have.
async fn four(session: &mut Session, n: u32) -> ([String; 4], String) {
    let ids = [
        user(session, n).await,
        user(session, n + 1).await,
        user(session, n + 2).await,
        user(session, n + 3).await,
    ];
    let email = format!("select email from auth0.user where user_id = '{}'", ids[0]);
    let taken = session.text(&email).await;
    (ids, taken)
}

/// Changes of three users, and one of the fourth that Auth0 refuses.
fn refused_at_last(ids: &[String; 4], taken: &str) -> String {
    let changes = ids[..3]
        .iter()
        .map(|id| format!("update auth0.user set nickname = 'all or nothing' where user_id = '{id}';"));
    format!(
        "{ATOMIC} {} update auth0.user set email = '{taken}' where user_id = '{}'; commit",
        changes.collect::<String>(),
        ids[3]
    )
}

/// A pattern of the path of a user.
fn path_of(id: &str) -> String {
    format!("/users/.*{}$", id.split('|').next_back().unwrap())
}

async fn listen(stand: &Stand) -> PgListener {
    let mut listener = PgListener::connect(&stand.app_url).await.unwrap();
    listener.listen("auth0_sync").await.unwrap();
    listener
}

/// What was told of a transaction; `session` writes something behind it.
async fn told(listener: &mut PgListener, session: &mut Session, txid: &str) -> Vec<Value> {
    session.confirmed("insert into auth0.role (name) values ('behind ' || clock_timestamp())").await;
    let last = last_txid(session).await;
    let mut notes = Vec::new();
    loop {
        let note = tokio::time::timeout(SECONDS, listener.recv()).await.unwrap().unwrap();
        let note: Value = serde_json::from_str(note.payload()).unwrap();
        if note["txid"] == last.as_str() {
            return notes;
        }
        if note["txid"] == txid {
            notes.push(note);
        }
    }
}

pub async fn one_refusal_takes_the_whole_transaction_back(stand: &mut Stand) {
    let (mut session, mut listener) = (stand.session().await, listen(stand).await);
    let (ids, taken) = four(&mut session, 0).await;
    let mut before = Vec::new();
    for id in &ids {
        before.push(api_user(stand, id).await);
    }
    // Refused when Auth0 has the others.
    let last = json!({"match": {"method": "PATCH", "path": path_of(&ids[3])}, "times": 1, "delay_ms": 700});
    stand.emulator.fault(last).await;
    session.run(&refused_at_last(&ids, &taken)).await;
    let txid = last_txid(&mut session).await;
    let applied = format!("select count(*) from auth0._sync_cdc where txid = '{txid}' and state = 'applied'");
    let mut root = stand.root().await;
    wait_until("the others are applied", SECONDS, async || root.count(&applied).await == 3).await;
    assert_eq!(api_user(stand, &ids[0]).await["nickname"], "all or nothing");

    let refusal = session.wait().await.unwrap_err();
    assert_eq!(
        refusal.message, "[Auth0] The specified new email already exists",
        "the reason, not what follows"
    );
    for (id, before) in ids.iter().zip(&before) {
        let now = api_user(stand, id).await;
        assert_eq!((&now["nickname"], &now["email"]), (&before["nickname"], &before["email"]));
    }
    let states = format!(
        "select state, error ->> 'kind' as kind, error -> 'after' as after, id from auth0._sync_cdc where txid = '{txid}' order by id"
    );
    let states = session.rows(&states).await;
    assert_eq!((&states[3]["state"], &states[3]["kind"]), (&json!("reverted"), &json!("auth0_refused")));
    for state in &states[..3] {
        assert_eq!((&state["state"], &state["kind"]), (&json!("reverted"), &json!("rolled_back")));
        assert_eq!(state["after"], states[3]["id"]);
    }
    let journal = stand.emulator.journal();
    let last_write = |id: &String| journal.rfind(id.split('|').next_back().unwrap()).unwrap();
    let order: Vec<usize> = ids[..3].iter().map(last_write).collect();
    assert!(order[2] < order[1] && order[1] < order[0], "the last comes back first: {order:?}");

    let notes = told(&mut listener, &mut session, &txid).await;
    assert_eq!(notes.len(), 1, "{notes:?}");
    let note = &notes[0];
    assert_eq!(
        (&note["state"], &note["mutations"], &note["kept"]),
        (&json!("reverted"), &json!(4), &json!(0))
    );
    assert_eq!((&note["id"], &note["error"]["status"]), (&states[3]["id"], &json!(400)));
}

pub async fn a_transaction_that_auth0_takes_is_confirmed_as_one(stand: &mut Stand) {
    let (mut session, mut listener) = (stand.session().await, listen(stand).await);
    let id = user(&mut session, 4).await;
    session
        .confirmed(&format!(
            "{ATOMIC} insert into auth0.organization (name) values ('whole'); \
             insert into auth0.organization_member select id, '{id}' from auth0.organization where name = 'whole'; \
             update auth0.user set nickname = 'whole' where user_id = '{id}'; \
             update auth0.user set given_name = 'Whole' where user_id = '{id}'; commit"
        ))
        .await;
    let txid = last_txid(&mut session).await;
    let notes = told(&mut listener, &mut session, &txid).await;
    assert_eq!(notes, [json!({"txid": txid, "schema": "auth0", "state": "confirmed", "mutations": 4})]);
    let now = api_user(stand, &id).await;
    assert_eq!((&now["nickname"], &now["given_name"]), (&json!("whole"), &json!("Whole")));
    let made = session.text("select id from auth0.organization where name = 'whole'").await;
    assert!(made.starts_with("org_"), "{made}");
    assert_eq!(there(stand, "organization_member", "organization_id", &made).await.len(), 1);

    // Who calls undo gets all of it back, too.
    session.run("select set_config('auth0.max_deletes', '3', false)").await;
    session.confirmed(&format!("select auth0.undo('{txid}'::xid8)")).await;
    assert!(there(stand, "organization", "name", "whole").await.is_empty());
}

pub async fn an_organization_whose_member_is_refused_was_never_there(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 5).await;
    session
        .run(&format!(
            "{ATOMIC} insert into auth0.organization (name) values ('for a moment'); \
             insert into auth0.organization_member select id, '{id}' from auth0.organization where name = 'for a moment'; \
             insert into auth0.organization_member select id, 'auth0|nobody' from auth0.organization where name = 'for a moment'; \
             commit"
        ))
        .await;
    let refusal = session.wait().await.unwrap_err();
    assert_eq!(refusal.table, "organization_member", "{refusal:?}");
    all_settled(stand).await;
    assert!(there(stand, "organization", "name", "for a moment").await.is_empty());
    for table in ["organization", "organization_member"] {
        assert_eq!(session.count(&format!("select count(*) from auth0.{table}")).await, {
            stand.emulator.state().await[table].as_array().unwrap().len() as i64
        });
    }
    let txid = last_txid(&mut session).await;
    let confirmed =
        format!("select count(*) from auth0._sync_cdc where txid = '{txid}' and state = 'confirmed'");
    assert_eq!(session.count(&confirmed).await, 0);
}

pub async fn what_others_write_on_an_undecided_row_waits_for_the_decision(stand: &mut Stand) {
    let (mut session, mut other) = (stand.session().await, stand.session().await);
    let (ids, taken) = four(&mut session, 6).await;
    let before = api_user(stand, &ids[0]).await;
    let last = json!({"match": {"method": "PATCH", "path": path_of(&ids[3])}, "times": 1, "delay_ms": 1500});
    stand.emulator.fault(last).await;
    session.run(&refused_at_last(&ids, &taken)).await;
    let txid = last_txid(&mut session).await;
    let applied = format!("select count(*) from auth0._sync_cdc where txid = '{txid}' and state = 'applied'");
    wait_until("the others are applied", SECONDS, async || other.count(&applied).await == 3).await;
    other.run(&format!("update auth0.user set given_name = 'Later' where user_id = '{}'", ids[0])).await;
    other.run("insert into auth0.role (name) values ('beside')").await;
    let roles =
        "select count(*) from auth0._sync_cdc where after ->> 'name' = 'beside' and state = 'confirmed'";
    wait_until("what has nothing to do with it goes", SECONDS, async || other.count(roles).await == 1).await;
    let waits = "select state from auth0._sync_cdc where after ? 'given_name' order by id desc limit 1";
    assert_eq!(other.text(waits).await, "pending");
    session.wait().await.unwrap_err();
    assert_eq!(other.wait().await.as_deref(), Ok("confirmed"));
    let now = api_user(stand, &ids[0]).await;
    assert_eq!((&now["given_name"], &now["nickname"]), (&json!("Later"), &before["nickname"]));
}

pub async fn a_transaction_is_all_or_nothing_though_the_service_is_killed(stand: &mut Stand) {
    let mut session = stand.session().await;
    let (ids, taken) = four(&mut session, 10).await;
    let mut before = Vec::new();
    for id in &ids {
        before.push(api_user(stand, id).await);
    }
    // Before the decision, and while it is taken back.
    let slow = |id: &str, after: u32| {
        json!({"match": {"method": "PATCH", "path": path_of(id)}, "times": 1, "after": after, "do": "delay_after",
               "delay_ms": 60_000})
    };
    stand.emulator.fault(slow(&ids[3], 0)).await;
    stand.emulator.fault(slow(&ids[1], 1)).await;
    session.run(&refused_at_last(&ids, &taken)).await;
    let txid = last_txid(&mut session).await;
    let count = |state: &str| {
        format!("select count(*) from auth0._sync_cdc where txid = '{txid}' and state = '{state}'")
    };
    let mut root = stand.root().await;
    wait_until("the others are applied", SECONDS, async || root.count(&count("applied")).await == 3).await;
    stand.kill_service().await;
    stand.emulator.forget_calls().await;
    stand.restart_service().await;
    wait_until("it is being taken back", SECONDS, async || root.count(&count("reverted")).await == 2).await;
    assert_eq!(root.count(&count("applied")).await, 2);
    // The refused one again, and two opposites: the second has left, and is not answered.
    wait_until("the second one is on its way back", SECONDS, async || {
        stand.emulator.calls("PATCH /users/{user_id}").await == 3
    })
    .await;
    stand.kill_service().await;
    stand.restart_service().await;
    let refusal = session.wait().await.unwrap_err();
    assert_eq!(refusal.message, "[Auth0] The specified new email already exists");
    for (id, before) in ids.iter().zip(&before) {
        let now = api_user(stand, id).await;
        assert_eq!((&now["nickname"], &now["email"]), (&before["nickname"], &before["email"]));
    }
    assert_eq!(root.count(&count("reverted")).await, 4);
}

pub async fn what_cannot_be_taken_back_is_said_in_the_statement(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 14).await;
    let before = session.count("select coalesce(max(id), 0) from auth0._sync_cdc").await;
    for (statement, table) in [
        (format!("update auth0.user set password = 'a-new-one-0' where user_id = '{id}'"), "user"),
        (format!("delete from auth0.user where user_id = '{id}'"), "user"),
        ("delete from auth0.connection".to_owned(), "connection"),
    ] {
        let refusal = session.refused(&format!("{ATOMIC} {statement}; commit")).await;
        assert_eq!(
            (refusal.code.as_str(), refusal.table.as_str()),
            ("0A000", table),
            "{statement}: {refusal:?}"
        );
        assert!(refusal.message.contains("cannot be taken back at Auth0"), "{refusal:?}");
        session.run("rollback").await;
    }
    let many = "insert into auth0.role (name) select 'many ' || n from generate_series(1, 1001) n";
    assert_eq!(session.refused(&format!("{ATOMIC} {many}; commit")).await.code, "54000");
    session.run("rollback").await;
    let late = format!(
        "begin; update auth0.user set nickname = 'early' where user_id = '{id}'; set local auth0.atomic = on; \
         update auth0.user set given_name = 'Late' where user_id = '{id}'; commit"
    );
    assert_eq!(session.refused(&late).await.code, "55000");
    session.run("rollback").await;
    let committed = format!("select count(*) from auth0._sync_cdc where id > {before}");
    assert_eq!(session.count(&committed).await, 0);
}

pub async fn a_wrong_value_of_a_setting_is_refused_by_its_name(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 15).await;
    let update = format!("update auth0.user set nickname = 'never' where user_id = '{id}'");
    for (setting, value, statement) in [
        ("auth0.hold", "x", update.as_str()),
        ("auth0.atomic", "maybe", update.as_str()),
        ("auth0.max_deletes", "x", "delete from auth0.role"),
        ("auth0.max_deletes", "-1", "delete from auth0.role"),
    ] {
        let refusal =
            session.refused(&format!("begin; set local {setting} = '{value}'; {statement}; commit")).await;
        assert_eq!(refusal.code, "22023", "{refusal:?}");
        assert_eq!(refusal.message, format!("[Auth0] invalid value for setting \"{setting}\": \"{value}\""));
        assert!(!refusal.hint.is_empty());
        session.run("rollback").await;
    }
    for value in ["off", "FALSE", "no", "0", ""] {
        session.run(&format!("set auth0.hold = '{value}'; set auth0.atomic = '{value}'; {update}")).await;
    }
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    let mixed =
        format!("begin; set local auth0.write_mode = 'strict'; set local auth0.atomic = 'yes'; {update}");
    assert_eq!(session.refused(&mixed).await.code, "0A000");
    session.run("rollback").await;
}

pub async fn a_mail_that_nothing_calls_back_is_said_before(stand: &mut Stand) {
    let mut session = stand.session().await;
    let client = stand.emulator.client_id.clone();
    session.confirmed("insert into auth0.organization (name) values ('inviting'), ('other')").await;
    let invite = |more: &str, value: &str| {
        format!(
            "insert into auth0.organization_invitation (organization_id, client_id, inviter, invitee{more}) \
             select id, '{client}', '{{\"name\": \"a\"}}', '{{\"email\": \"a@example.com\"}}'{value} from auth0.organization where name = 'inviting'"
        )
    };
    let refusal = session.refused(&format!("{ATOMIC} {}; commit", invite("", ""))).await;
    assert_eq!((refusal.code.as_str(), refusal.detail.as_str()), ("0A000", "Auth0 sends an e-mail."));
    assert!(refusal.hint.contains("send_invitation_email = false"), "{refusal:?}");
    session.run("rollback").await;
    // Without the mail nothing is left of it.
    let quiet = invite(", send_invitation_email", ", false");
    session
        .run(&format!(
            "{ATOMIC} {quiet}; update auth0.organization set name = 'other' where name = 'inviting'; commit"
        ))
        .await;
    let template = "insert into auth0.email_template (template, body, \"from\", subject, syntax, enabled) \
                    values ('verify_email', 'b', 'a@example.com', 's', 'liquid', true)";
    session.wait().await.unwrap_err();
    all_settled(stand).await;
    assert_eq!(session.count("select count(*) from auth0.organization_invitation").await, 0);
    assert!(stand.emulator.state().await["organization_invitation"].as_array().unwrap().is_empty());
    assert_eq!(session.refused(&format!("{ATOMIC} {template}; commit")).await.code, "0A000");
    session.run("rollback").await;
}
