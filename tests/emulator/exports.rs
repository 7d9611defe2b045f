//! Exports of users: the job in the background, links, the file, and what can go wrong with them.

use std::io::Read;
use std::time::Duration;

use auth0_sync::emulator::{Gzip, Options};
use reqwest::header::{CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE};
use serde_json::{Value, json};

use crate::client::{Tenant, answer};
use crate::wait::{wait_for, wait_until};

const WITHIN: Duration = Duration::from_secs(10);

/// Starts a job; its id.
async fn begin(tenant: &Tenant, body: Value) -> String {
    let begun = tenant.post("/api/v2/jobs/users-exports", body).await;
    assert_eq!((begun.status, &begun.body["status"]), (200, &json!("pending")), "{}", begun.body);
    begun.body["id"].as_str().unwrap().to_owned()
}

/// The job, once it has this status.
async fn job(tenant: &Tenant, id: &str, status: &str) -> Value {
    wait_for(&format!("{id} is {status}"), WITHIN, async || {
        let job = tenant.get(&format!("/api/v2/jobs/{id}")).await.body;
        (job["status"] == status).then_some(job)
    })
    .await
}

/// The address of the job's file, once it is there.
async fn link(tenant: &Tenant, id: &str) -> String {
    job(tenant, id, "completed").await["location"].as_str().unwrap().to_owned()
}

async fn fetch(tenant: &Tenant, link: &str) -> (u16, String) {
    let response = tenant.http.get(link).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The lines of what an order exports.
async fn export(tenant: &Tenant, body: Value) -> Vec<String> {
    let id = begin(tenant, body).await;
    let (status, text) = fetch(tenant, &link(tenant, &id).await).await;
    assert_eq!(status, 200);
    text.lines().map(str::to_owned).collect()
}

fn fields(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name})).collect()
}

#[tokio::test]
async fn an_export_holds_every_user_with_the_fields_that_were_asked_for() {
    let tenant = Tenant::with_users(2_300).await;
    let users = tenant.state().await["user"].as_array().unwrap().clone();
    let names: Vec<&str> = users
        .iter()
        .flat_map(|user| user.as_object().unwrap().keys().map(String::as_str))
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let lines = export(&tenant, json!({"format": "json", "fields": fields(&names)})).await;
    let exported: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported, users);
}

#[tokio::test]
async fn fields_are_renamed_and_reached_into_and_a_usual_set_comes_where_none_are_named() {
    let tenant = Tenant::with_users(3).await;
    let asked = json!([
        {"name": "email"}, {"name": "identities[0].connection", "export_as": "home"},
        {"name": "user_metadata.theme"}, {"name": "blocked_for"}, {"name": "nothing"},
    ]);
    let lines = export(&tenant, json!({"format": "json", "fields": asked, "limit": 1})).await;
    let user = &tenant.state().await["user"][0];
    let expected = json!({
        "email": user["email"], "home": user["identities"][0]["connection"],
        "user_metadata.theme": user["user_metadata"]["theme"],
    });
    assert_eq!(lines, [expected.to_string()]);

    let usual: Value = serde_json::from_str(&export(&tenant, json!({})).await[0]).unwrap();
    assert_eq!((&usual["user_id"], &usual["email"]), (&user["user_id"], &user["email"]));
    assert!(usual.get("app_metadata").is_none());
}

#[tokio::test]
async fn an_export_of_one_connection_has_its_users_alone() {
    let tenant = Tenant::with_users(25).await;
    let partners = tenant.get("/api/v2/connections?name=Partners").await.body[0]["id"].clone();
    let lines = export(&tenant, json!({"connection_id": partners, "fields": fields(&["username"])})).await;
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| line.starts_with("{\"username\":\"")));
    let nowhere = json!({"connection_id": "con_0000000000000000"});
    assert_eq!(tenant.post("/api/v2/jobs/users-exports", nowhere).await.status, 404);
}

#[tokio::test]
async fn csv_quotes_texts_so_that_no_spreadsheet_takes_them_for_formulas() {
    let tenant = Tenant::with_users(1).await;
    let user = tenant.state().await["user"][0].clone();
    let id = user["user_id"].as_str().unwrap();
    let patch = json!({"nickname": "=1+\"2\"", "given_name": null});
    assert_eq!(tenant.patch(&format!("/api/v2/users/{id}"), patch).await.status, 200);
    let names = ["nickname", "given_name", "email_verified", "created_at", "user_metadata.theme"];
    let lines = export(&tenant, json!({"format": "csv", "fields": fields(&names)})).await;
    assert_eq!(
        lines[0],
        "\"nickname\",\"given_name\",\"email_verified\",\"created_at\",\"user_metadata.theme\""
    );
    let (verified, created) = (&user["email_verified"], user["created_at"].as_str().unwrap());
    assert_eq!(lines[1], format!("\"'=1+\"\"2\"\"\",,{verified},{created},\"'dark\""));

    let whole = json!({"format": "csv", "fields": fields(&["app_metadata"])});
    assert_eq!(tenant.post("/api/v2/jobs/users-exports", whole).await.status, 400);
    let many: Vec<String> = (0..31).map(|number| format!("user_metadata.f{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let many = json!({"format": "csv", "fields": fields(&many)});
    let refused = tenant.post("/api/v2/jobs/users-exports", many).await;
    assert_eq!((refused.status, &refused.body["errorCode"]), (400, &json!("invalid_body")));
}

#[tokio::test]
async fn each_look_at_a_job_gives_another_link_and_a_link_needs_no_token() {
    let tenant = Tenant::with_users(2).await;
    let id = begin(&tenant, json!({"format": "json"})).await;
    let (one, other) = (link(&tenant, &id).await, link(&tenant, &id).await);
    assert_ne!(one, other);
    assert!(one.starts_with(&format!("{}/exports/", tenant.base)) && one.contains("/emulator.json?"));
    assert_eq!(fetch(&tenant, &one).await, fetch(&tenant, &other).await);
    let forged = one.replace("Signature=", "Signature=0");
    let (status, text) = fetch(&tenant, &forged).await;
    assert_eq!(status, 403);
    assert!(text.contains("<Code>AccessDenied</Code>"));
    assert_eq!(fetch(&tenant, &format!("{}/exports/job_x/emulator.json", tenant.base)).await.0, 403);
}

#[tokio::test]
async fn a_link_ends_before_the_job_and_a_job_ends_with_its_file() {
    let options = Options { users: 2, export_link: Duration::from_millis(150), ..Options::default() };
    let tenant = Tenant::start(options).await;
    let id = begin(&tenant, json!({})).await;
    let old = link(&tenant, &id).await;
    wait_until("the link is too old", WITHIN, async || fetch(&tenant, &old).await.0 == 403).await;
    assert_eq!(fetch(&tenant, &link(&tenant, &id).await).await.0, 200);

    let options = Options { users: 2, export_job: Duration::from_millis(400), ..Options::default() };
    let tenant = Tenant::start(options).await;
    let id = begin(&tenant, json!({})).await;
    let file = link(&tenant, &id).await;
    assert_eq!(fetch(&tenant, &file).await.0, 200);
    wait_until("the job is gone", WITHIN, async || {
        tenant.get(&format!("/api/v2/jobs/{id}")).await.status == 404
    })
    .await;
    assert_eq!(fetch(&tenant, &file).await.0, 403);
    wait_until("the row is gone", WITHIN, async || tenant.state().await["job"] == json!([])).await;
}

#[tokio::test]
async fn parts_of_a_file_are_served_by_range() {
    let tenant = Tenant::with_users(50).await;
    let id = begin(&tenant, json!({})).await;
    let link = link(&tenant, &id).await;
    let whole = tenant.http.get(&link).send().await.unwrap();
    let tag = whole.headers()[ETAG].clone();
    assert_eq!(whole.headers()[CONTENT_TYPE], "application/x-ndjson");
    let length = whole.content_length().unwrap();
    let whole = whole.bytes().await.unwrap();
    assert_eq!(whole.len() as u64, length);

    let part =
        tenant.http.get(&link).header(RANGE, "bytes=100-").header(IF_RANGE, &tag).send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()[CONTENT_RANGE], format!("bytes 100-{}/{length}", length - 1));
    assert_eq!(part.bytes().await.unwrap(), whole[100..]);
    let other = tenant.http.get(&link).header(RANGE, "bytes=100-").header(IF_RANGE, "\"other\"");
    assert_eq!(other.send().await.unwrap().status(), 200);
    let beyond = tenant.http.get(&link).header(RANGE, format!("bytes={length}-")).send().await.unwrap();
    assert_eq!(beyond.status(), 416);
    assert_eq!(beyond.headers()[CONTENT_RANGE], format!("bytes */{length}"));
}

#[tokio::test]
async fn files_are_compressed_in_either_way() {
    for (gzip, encoding, kind, name) in [
        (Gzip::Encoding, true, "application/x-ndjson", "/emulator.json?"),
        (Gzip::File, false, "application/gzip", "/emulator.json.gz?"),
    ] {
        let tenant = Tenant::start(Options { users: 20, export_gzip: gzip, ..Options::default() }).await;
        let id = begin(&tenant, json!({"format": "json", "fields": fields(&["user_id"])})).await;
        let link = link(&tenant, &id).await;
        assert!(link.contains(name), "{link}");
        let response = tenant.http.get(&link).send().await.unwrap();
        assert_eq!(response.headers().get(CONTENT_ENCODING).is_some_and(|value| value == "gzip"), encoding);
        assert_eq!(response.headers()[CONTENT_TYPE], kind);
        let mut text = String::new();
        let bytes = response.bytes().await.unwrap();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 20);
    }
}

#[tokio::test]
async fn jobs_and_files_survive_a_restart_and_what_was_not_done_is_done_then() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { data: Some(folder.path().to_owned()), users: 30, ..Options::default() };
    let tenant = Tenant::start(options()).await;
    let done = begin(&tenant, json!({})).await;
    let (_, before) = fetch(&tenant, &link(&tenant, &done).await).await;
    let hold =
        json!({"match": {"path": "users-exports"}, "times": 1, "do": "hold_job", "delay_ms": 3_600_000});
    tenant.post("/_emulator/faults", hold).await;
    let held = begin(&tenant, json!({})).await;
    assert!(job(&tenant, &held, "processing").await.get("location").is_none());
    tenant.kill().await;

    let tenant = Tenant::start(options()).await;
    assert_eq!(fetch(&tenant, &link(&tenant, &done).await).await, (200, before));
    assert_eq!(job(&tenant, &held, "processing").await["percentage_done"], 0);
    assert_eq!(std::fs::read_dir(folder.path().join("exports")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_job_fails_and_a_file_breaks_off_or_stalls_on_demand() {
    let tenant = Tenant::with_users(500).await;
    let order =
        json!({"match": {"path": "users-exports"}, "times": 1, "do": "fail_job", "body": {"failed": 7}});
    assert_eq!(tenant.post("/_emulator/faults", order).await.status, 200);
    let failed = begin(&tenant, json!({})).await;
    let failed = job(&tenant, &failed, "failed").await;
    assert_eq!(failed["summary"], json!({"failed": 7}));
    assert!(failed.get("location").is_none());

    let id = begin(&tenant, json!({})).await;
    let whole = fetch(&tenant, &link(&tenant, &id).await).await.1;
    let cut = json!({"match": {"path": "^/exports/"}, "times": 1, "do": "cut", "bytes": 10_000});
    tenant.post("/_emulator/faults", cut).await;
    let mut response = tenant.http.get(link(&tenant, &id).await).send().await.unwrap();
    assert_eq!(response.content_length(), Some(whole.len() as u64));
    let mut seen = Vec::new();
    let ended = loop {
        match response.chunk().await {
            Ok(Some(block)) => seen.extend_from_slice(&block),
            ended => break ended,
        }
    };
    assert!(ended.is_err());
    assert_eq!(seen, whole.as_bytes()[..10_000]);

    let stall =
        json!({"match": {"path": "^/exports/"}, "times": 1, "do": "stall", "bytes": 10, "delay_ms": 150});
    tenant.post("/_emulator/faults", stall).await;
    let begun = std::time::Instant::now();
    assert_eq!(fetch(&tenant, &link(&tenant, &id).await).await, (200, whole));
    assert!(begun.elapsed() >= Duration::from_millis(150));
    let cut = json!({"match": {"path": "/roles"}, "times": 1, "do": "cut", "bytes": 1});
    tenant.post("/_emulator/faults", cut).await;
    assert!(answer(tenant.request(reqwest::Method::GET, "/api/v2/roles")).await.is_err());
}

#[tokio::test]
async fn a_tenant_without_exports_says_so() {
    let lacks = Options { without: vec!["exports".into()], ..Options::default() };
    let free = Options { plan: Some("free".to_owned()), ..Options::default() };
    for options in [lacks, free] {
        let tenant = Tenant::start(options).await;
        let refused = tenant.post("/api/v2/jobs/users-exports", json!({"format": "json"})).await;
        assert_eq!((refused.status, &refused.body["errorCode"]), (403, &json!("insufficient_entitlement")));
        assert!(refused.body["message"].as_str().unwrap().starts_with("Please upgrade your subscription"));
    }
}
