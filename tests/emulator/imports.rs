//! Imports of users: the job in the background, two at a time, errors user by user.

use std::time::Duration;

use auth0_sync::emulator::Options;
use serde_json::{Value, json};

use crate::client::Tenant;
use crate::wait::wait_for;

const WITHIN: Duration = Duration::from_secs(10);
const DATABASE: &str = "Username-Password-Authentication";

async fn connection(tenant: &Tenant, name: &str) -> Value {
    tenant.get(&format!("/api/v2/connections?name={name}")).await.body[0]["id"].clone()
}

/// What starting an import answers.
async fn order(tenant: &Tenant, users: Value, upsert: bool) -> (u16, Value) {
    let file = json!({
        "connection_id": connection(tenant, DATABASE).await, "users": users, "upsert": upsert, "external_id": "mine",
        "send_completion_email": false,
    });
    let answer = tenant.post("/api/v2/jobs/users-imports", file).await;
    (answer.status, answer.body)
}

/// The job when it is over.
async fn ended(tenant: &Tenant, id: &Value) -> Value {
    let path = format!("/api/v2/jobs/{}", id.as_str().unwrap());
    wait_for("the import is over", WITHIN, async || {
        let job = tenant.get(&path).await.body;
        let open = ["pending", "processing"].contains(&job["status"].as_str().unwrap());
        (!open).then_some(job)
    })
    .await
}

async fn imported(tenant: &Tenant, users: Value, upsert: bool) -> Value {
    let (status, job) = order(tenant, users, upsert).await;
    assert_eq!(
        (status, &job["status"], &job["external_id"]),
        (202, &json!("pending"), &json!("mine")),
        "{job}"
    );
    ended(tenant, &job["id"]).await
}

#[tokio::test]
async fn users_are_made_one_by_one_and_those_that_cannot_be_are_named() {
    let tenant = Tenant::with_users(0).await;
    let user = |id: &str, email: &str| json!({"user_id": id, "email": email, "email_verified": true});
    let mut strange = user("5", "strange@example.com");
    strange["password"] = json!("secret");
    let users = json!([
        user("1", "One@example.com"), user("2", "nothing"), user("1", "other@example.com"),
        user("4", "one@example.com"), strange, {"user_id": "7"},
        {"user_id": "auth0|8", "email": "eight@example.com"},
    ]);
    let job = imported(&tenant, users, false).await;
    assert_eq!(job["summary"], json!({"failed": 5, "updated": 0, "inserted": 2, "total": 7}));
    let path = format!("/api/v2/jobs/{}/errors", job["id"].as_str().unwrap());
    let errors = tenant.get(&path).await.body;
    let codes: Vec<_> =
        errors.as_array().unwrap().iter().map(|error| error["errors"][0]["code"].clone()).collect();
    assert_eq!(codes, ["FORMAT", "DUPLICATED_USER", "DUPLICATED_USER", "NOT_PASSED", "OBJECT_REQUIRED"]);
    let one = tenant.get("/api/v2/users/auth0%7C1").await.body;
    assert_eq!((&one["email"], &one["email_verified"]), (&json!("one@example.com"), &json!(true)));
    assert_eq!(
        tenant.get("/api/v2/users/auth0%7Cauth0%7C8").await.status,
        200,
        "the prefix comes before whatever is there"
    );

    // A second import of the same users creates nobody and changes nobody, unless it is to.
    let again = |name: &str| json!([{"user_id": "1", "email": "one@example.com", "given_name": name, "user_metadata": {"a": 1}}]);
    let job = imported(&tenant, again("Ada"), false).await;
    assert_eq!(job["summary"], json!({"failed": 1, "updated": 0, "inserted": 0, "total": 1}));
    assert!(tenant.get("/api/v2/users/auth0%7C1").await.body.get("given_name").is_none());
    let job = imported(&tenant, again("Ada"), true).await;
    assert_eq!(job["summary"], json!({"failed": 0, "updated": 1, "inserted": 0, "total": 1}));
    assert_eq!(tenant.get("/api/v2/users/auth0%7C1").await.body["given_name"], "Ada");
    let path = format!("/api/v2/jobs/{}/errors", job["id"].as_str().unwrap());
    assert_eq!(tenant.get(&path).await.status, 204);
}

#[tokio::test]
async fn two_imports_run_at_a_time_and_go_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { data: Some(folder.path().to_owned()), ..Options::default() };
    let tenant = Tenant::start(options()).await;
    let hold = json!({"match": {"path": "users-imports"}, "times": 2, "do": "hold_job", "delay_ms": 300});
    tenant.post("/_emulator/faults", hold).await;
    let file = |n: u32| json!([{"email": format!("import{n}@example.com")}]);
    let jobs = [order(&tenant, file(1), false).await, order(&tenant, file(2), false).await];
    let (status, refused) = order(&tenant, file(3), false).await;
    assert_eq!((status, &refused["errorCode"]), (429, &json!("too_many_requests")), "{refused}");
    tenant.kill().await;

    let tenant = Tenant::start(options()).await;
    for (status, job) in jobs {
        assert_eq!((status, &ended(&tenant, &job["id"]).await["status"]), (202, &json!("completed")));
    }
    assert_eq!(order(&tenant, file(3), false).await.0, 202);
}

#[tokio::test]
async fn what_is_no_file_of_users_for_a_database_starts_no_import() {
    let tenant = Tenant::with_users(10).await;
    assert_eq!(order(&tenant, json!([]), false).await.0, 400);
    assert_eq!(order(&tenant, json!({"email": "x@example.com"}), false).await.0, 400);
    let long = json!([{"email": "x@example.com", "user_metadata": {"note": "x".repeat(512_000)}}]);
    let (status, refused) = order(&tenant, long, false).await;
    assert_eq!((status, refused["message"].as_str().unwrap().contains("512000")), (413, true));
    let codes = tenant.post("/api/v2/connections", json!({"name": "codes", "strategy": "email"})).await;
    let file = json!({"connection_id": codes.body["id"], "users": [{"email": "x@example.com"}]});
    let refused = tenant.post("/api/v2/jobs/users-imports", file).await;
    assert_eq!(
        (refused.status, &refused.body["message"]),
        (400, &json!("Connection must be a database connection."))
    );
    let nothing = tenant.post("/api/v2/jobs/users-imports", json!({"users": []})).await;
    assert_eq!(nothing.status, 400);

    let fail = json!({"match": {"path": "users-imports"}, "times": 1, "do": "fail_job"});
    tenant.post("/_emulator/faults", fail).await;
    let job =
        imported(&tenant, json!([{"email": "half@example.com"}, {"email": "rest@example.com"}]), false).await;
    assert_eq!(job["status"], "failed");
    let search = async |email: &str| tenant.get(&format!("/api/v2/users-by-email?email={email}")).await.body;
    assert_eq!(search("half@example.com").await.as_array().unwrap().len(), 1, "it failed half way");
    assert_eq!(search("rest@example.com").await, json!([]));
}
