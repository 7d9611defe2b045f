//! What the emulator keeps: in a folder, across a kill, and how it is emptied and filled.

use auth0_sync::emulator::Options;
use serde_json::json;

use crate::client::Tenant;

#[tokio::test]
async fn a_killed_emulator_has_lost_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { data: Some(folder.path().to_owned()), users: 20, ..Options::default() };
    let tenant = Tenant::start(options.clone()).await;
    let role = tenant.post("/api/v2/roles", json!({"name": "one"})).await.body;
    let user = tenant.state().await["user"][3]["user_id"].as_str().unwrap().to_owned();
    tenant.patch(&format!("/api/v2/users/{user}"), json!({"nickname": "changed"})).await;
    let (state, client) = (tenant.state().await, tenant.client.clone());
    let logs = tenant.get("/api/v2/logs?take=100").await.body;
    tenant.kill().await;
    // What a kill in the middle of a write leaves.
    let journal = folder.path().join("journal.jsonl");
    let mut cut = std::fs::read(&journal).unwrap();
    cut.extend(b"[{\"Put\":[\"role\",\"rol_half");
    std::fs::write(&journal, cut).unwrap();

    let tenant = Tenant::start(options).await;
    assert_eq!(tenant.client, client);
    assert_eq!(tenant.state().await, state);
    assert_eq!(tenant.get("/api/v2/logs?take=100").await.body, logs);
    let read = tenant.get(&format!("/api/v2/roles/{}", role["id"].as_str().unwrap())).await;
    assert_eq!(read.body["name"], "one");
}

#[tokio::test]
async fn the_same_number_of_users_gives_the_same_tenant() {
    let (one, other) = (Tenant::with_users(30).await, Tenant::with_users(30).await);
    let (one, other) = (one.state().await, other.state().await);
    for table in ["user", "role", "organization", "user_role", "organization_member"] {
        assert_eq!(one[table], other[table], "{table}");
    }
}

#[tokio::test]
async fn a_reset_leaves_what_every_tenant_has_and_a_preload_fills_it() {
    let tenant = Tenant::with_users(5).await;
    assert_eq!(tenant.post("/_emulator/reset", json!({})).await.status, 200);
    let state = tenant.state().await;
    assert_eq!((&state["user"], &state["role"]), (&json!([]), &json!([])));
    assert_eq!(tenant.get("/api/v2/roles").await.status, 200, "the token still holds");

    let document = json!({
        "collections": {
            "/roles": [{"id": "rol_1", "name": "one"}],
            "/users": [{"user_id": "auth0|1", "email": "a@example.com"}],
            "/users/auth0|1/roles": [{"id": "rol_1", "name": "one"}],
            "/connections": [{"id": "con_1", "name": "Username-Password-Authentication", "strategy": "auth0", "options": {}}],
            "/unheard-of": [{"id": "unknown"}],
        },
        "singletons": {"/tenants/settings": {"friendly_name": "Recorded"}},
    });
    assert_eq!(tenant.post("/_emulator/preload", document).await.body["rows"], 5);
    let state = tenant.state().await;
    assert_eq!(state["user_role"], json!([{"user_id": "auth0|1", "role_id": "rol_1"}]));
    assert_eq!(state["connection"].as_array().unwrap().len(), 1, "the fresh one of that name gave way");
    assert_eq!(tenant.get("/api/v2/tenants/settings").await.body["friendly_name"], "Recorded");
}

#[tokio::test]
async fn a_seed_file_fills_a_fresh_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let seed = folder.path().join("seed.jsonl");
    let line = |name: &str| json!({"collections": {"/roles": [{"id": format!("rol_{name}"), "name": name}]}});
    std::fs::write(&seed, format!("{}\n{}\n", line("one"), line("two"))).unwrap();
    let packed = std::process::Command::new("gzip").arg("-k").arg(&seed).status().unwrap();
    assert!(packed.success());
    for name in ["seed.jsonl", "seed.jsonl.gz"] {
        let options = Options { seed: Some(folder.path().join(name)), ..Options::default() };
        let tenant = Tenant::start(options).await;
        assert_eq!(tenant.state().await["role"].as_array().unwrap().len(), 2, "{name}");
    }
}
