//! Links that Auth0 takes as a whole list only.

use serde_json::{Value, json};

use crate::support::{Session, Stand};

/// What the stand mirrors.
pub const TABLES: &[&str] = &["action", "action_trigger", "action_trigger_binding"];

const PATH: &str = "/api/v2/actions/triggers/post-login/bindings";

/// Actions of these names that run at logins.
async fn actions(session: &mut Session, names: &[&str]) {
    for name in names {
        session
            .confirmed(&format!(
                "insert into auth0.action (name, supported_triggers, code, deploy) values \
                 ('{name}', '[{{\"id\": \"post-login\", \"version\": \"v3\"}}]', 'exports.onExecutePostLogin = async () => {{}};', true)"
            ))
            .await;
    }
}

async fn order(stand: &Stand) -> Vec<String> {
    let listed = stand.emulator.api.get(PATH).await;
    let bindings = listed.get("bindings").unwrap_or(&listed).as_array().unwrap();
    bindings.iter().map(|binding| binding["display_name"].as_str().unwrap_or("?").to_owned()).collect()
}

fn bind(condition: &str, position: &str) -> String {
    format!(
        "insert into auth0.action_trigger_binding (trigger_id, action_id, display_name, position) \
         select 'post-login', id, 'my ' || name, {position} from auth0.action where {condition}"
    )
}

pub async fn links_of_one_parent_do_not_overwrite_each_other(stand: &mut Stand) {
    let mut session = stand.session().await;
    let names = ["a", "b", "c", "d", "e", "f"];
    actions(&mut session, &names).await;
    session.confirmed(&bind("name in ('a', 'b', 'c', 'd', 'e', 'f')", "null")).await;
    let mut there = order(stand).await;
    there.sort();
    assert_eq!(there, names.map(|name| format!("my {name}")));
    session
        .confirmed("delete from auth0.action_trigger_binding where display_name in ('my b', 'my d', 'my f')")
        .await;
    let mut there = order(stand).await;
    there.sort();
    assert_eq!(there, ["my a", "my c", "my e"]);
}

pub async fn links_keep_their_places_and_those_of_others(stand: &mut Stand) {
    let mut session = stand.session().await;
    actions(&mut session, &["a", "b", "c", "theirs"]).await;
    let theirs = session.text("select id from auth0.action where name = 'theirs'").await;
    let body =
        json!({"bindings": [{"ref": {"type": "action_id", "value": theirs}, "display_name": "theirs"}]});
    stand.emulator.api.patch(PATH, body).await;
    for name in ["a", "b"] {
        session.confirmed(&bind(&format!("name = '{name}'"), "null")).await;
    }
    assert_eq!(order(stand).await, ["theirs", "my a", "my b"]);
    session.confirmed(&bind("name = 'c'", "1")).await;
    assert_eq!(order(stand).await, ["theirs", "my c", "my a", "my b"]);
    session
        .confirmed("update auth0.action_trigger_binding set position = 0 where display_name = 'my b'")
        .await;
    assert_eq!(order(stand).await, ["my b", "theirs", "my c", "my a"]);
    session
        .confirmed(
            "update auth0.action_trigger_binding set display_name = 'renamed' where display_name = 'my c'",
        )
        .await;
    assert_eq!(order(stand).await, ["my b", "theirs", "renamed", "my a"]);
    // A lost answer changes nothing twice.
    for fault in ["drop_after", "drop_before"] {
        stand
            .emulator
            .fault(json!({"match": {"method": "PATCH", "path": "/bindings$"}, "times": 1, "do": fault}))
            .await;
        session
            .confirmed("update auth0.action_trigger_binding set position = 3 where display_name = 'my b'")
            .await;
        assert_eq!(order(stand).await, ["theirs", "renamed", "my a", "my b"]);
        session
            .confirmed("update auth0.action_trigger_binding set position = 0 where display_name = 'my b'")
            .await;
        assert_eq!(order(stand).await, ["my b", "theirs", "renamed", "my a"]);
    }
    // Places of others are read again once they have moved.
    crate::support::wait_until(
        "the mirror shows the places",
        std::time::Duration::from_secs(10),
        async || {
            let rows =
                session.rows("select display_name from auth0.action_trigger_binding order by position").await;
            let shown: Vec<Value> = rows.iter().map(|row| row["display_name"].clone()).collect();
            shown == ["my b", "theirs", "renamed", "my a"]
        },
    )
    .await;
}
