//! Many users: how many rows a call looks at does not grow with them.

use std::time::Duration;

use auth0_sync::emulator::Options;
use serde_json::{Value, json};

use crate::client::{Answer, Tenant, ids};

/// So many that new ones are packed.
const USERS: usize = 12_000;
/// How long a job may take.
const WITHIN: Duration = Duration::from_secs(60);

/// An answer, and how many rows were looked at for it.
async fn measured(tenant: &Tenant, call: impl Future<Output = Answer>) -> (Answer, u64) {
    let visited = || async { tenant.get("/_emulator/visited").await.body["rows"].as_u64().unwrap() };
    let before = visited().await;
    let answer = call.await;
    (answer, visited().await - before)
}

async fn many() -> Tenant {
    Tenant::start(Options { users: USERS, result_cap: false, ..Options::default() }).await
}

fn users(answer: &Answer) -> Vec<String> {
    ids(&answer.body["users"], "user_id")
}

async fn search(tenant: &Tenant, query: &[(&str, &str)]) -> Answer {
    let request = tenant.request(reqwest::Method::GET, "/api/v2/users").query(&[("include_totals", "true")]);
    crate::client::answer(request.query(query)).await.unwrap()
}

#[tokio::test]
async fn one_user_among_many_is_read_and_written_without_looking_at_the_others() {
    let tenant = many().await;
    let page = tenant.get(&format!("/api/v2/users?per_page=1&page={}", USERS - 7)).await;
    let (id, email) = (page.body[0]["user_id"].clone(), page.body[0]["email"].clone());
    let path = format!("/api/v2/users/{}", id.as_str().unwrap());
    let new = |email: &Value| json!({"connection": "Username-Password-Authentication", "email": email, "password": "Aa1!enough"});

    let (read, visited) = measured(&tenant, tenant.get(&path)).await;
    assert_eq!((read.status, read.body["email"] == email, visited < 50), (200, true, true), "{visited}");
    let by_email = format!("/api/v2/users-by-email?email={}", email.as_str().unwrap());
    let (found, visited) = measured(&tenant, tenant.get(&by_email)).await;
    assert_eq!(
        (ids(&found.body, "user_id"), visited < 50),
        (vec![id.as_str().unwrap().to_owned()], true),
        "{visited}"
    );
    let (made, visited) =
        measured(&tenant, tenant.post("/api/v2/users", new(&json!("one@example.com")))).await;
    assert_eq!((made.status, visited < 50), (201, true), "{visited} {}", made.body);
    let (twice, visited) =
        measured(&tenant, tenant.post("/api/v2/users", new(&json!("One@Example.com")))).await;
    assert_eq!((twice.status, visited < 50), (409, true), "{visited}");

    let (taken, visited) = measured(&tenant, tenant.patch(&path, json!({"email": "one@example.com"}))).await;
    assert_eq!((taken.status, visited < 50), (400, true), "{visited} {}", taken.body);
    let (moved, visited) = measured(&tenant, tenant.patch(&path, json!({"email": "two@example.com"}))).await;
    assert_eq!((moved.status, visited < 50), (200, true), "{visited}");
    // The index knows the new address and no more the old one.
    assert_eq!(tenant.get(&by_email).await.body, json!([]));
    let found = tenant.get("/api/v2/users-by-email?email=two@example.com").await;
    assert_eq!(ids(&found.body, "user_id"), [id.as_str().unwrap()]);

    let (gone, visited) = measured(&tenant, tenant.delete(&path, None)).await;
    assert_eq!((gone.status, visited < 100), (204, true), "{visited}");
    assert_eq!(tenant.get(&path).await.status, 404);
    let found = tenant.get("/api/v2/users-by-email?email=two@example.com").await;
    assert_eq!(found.body, json!([]));
}

#[tokio::test]
async fn a_page_of_many_users_costs_what_it_shows() {
    let tenant = many().await;
    let last = (USERS / 100 - 1).to_string();
    let paged = [("per_page", "100"), ("page", last.as_str())];
    let (page, visited) = measured(&tenant, search(&tenant, &paged)).await;
    assert_eq!((page.body["total"].as_u64(), users(&page).len()), (Some(USERS as u64), 100));
    assert!(visited < 250, "{visited}");

    let sorted = [paged.as_slice(), &[("sort", "created_at:-1")]].concat();
    let (first, visited) = measured(&tenant, search(&tenant, &sorted)).await;
    assert!(visited < 250, "{visited}");
    let unsorted = tenant.get("/api/v2/users?per_page=100&include_totals=true").await;
    assert_eq!(users(&first), users(&unsorted).into_iter().rev().collect::<Vec<_>>());

    // A range of times: the users of about four days.
    let from = page.body["users"][0]["created_at"].as_str().unwrap();
    let query = format!("created_at:[{from} TO *]");
    let ranged = [("q", query.as_str()), ("per_page", "60"), ("page", "1")];
    let (found, visited) = measured(&tenant, search(&tenant, &ranged)).await;
    assert_eq!((found.body["total"].as_u64(), users(&found)), (Some(100), users(&page)[60..].to_vec()));
    assert!(visited < 350, "{visited}");
    let email = page.body["users"][42]["email"].as_str().unwrap().to_uppercase();
    let query = format!("email:\"{email}\" AND _exists_:name");
    let (found, visited) = measured(&tenant, search(&tenant, &[("q", &query)])).await;
    assert_eq!(users(&found), users(&page)[42..43]);
    assert!(visited < 50, "{visited}");
}

#[tokio::test]
async fn a_search_without_an_index_looks_once_and_then_turns_pages() {
    let tenant = many().await;
    let page = |page: &'static str| [("q", "app_metadata.plan:team"), ("per_page", "100"), ("page", page)];
    let (first, visited) = measured(&tenant, search(&tenant, &page("0"))).await;
    assert!(visited >= USERS as u64, "{visited}");
    assert_eq!(first.body["total"], USERS / 3);
    let (second, visited) = measured(&tenant, search(&tenant, &page("1"))).await;
    assert!(visited < 250, "{visited}");
    assert!(users(&first).iter().all(|user| !users(&second).contains(user)));
    // A change is seen at once.
    let id = first.body["users"][0]["user_id"].as_str().unwrap();
    tenant.patch(&format!("/api/v2/users/{id}"), json!({"app_metadata": {"plan": "free"}})).await;
    let again = search(&tenant, &page("0")).await;
    assert_eq!(again.body["total"], USERS / 3 - 1);
    assert_eq!(users(&again)[..99], users(&first)[1..]);
}

#[tokio::test]
async fn the_links_of_one_row_are_found_without_those_of_the_others() {
    let tenant = many().await;
    let organization = tenant.get("/api/v2/organizations").await.body[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v2/organizations/{organization}/members?take=100");
    let mut seen = std::collections::BTreeSet::new();
    let mut next = String::new();
    loop {
        let (page, visited) = measured(&tenant, tenant.get(&format!("{path}&from={next}"))).await;
        assert!(visited < 700, "{visited}");
        seen.extend(ids(&page.body["members"], "user_id"));
        match page.body["next"].as_str() {
            Some(more) => next = more.to_owned(),
            None => break,
        }
    }
    let members =
        search(&tenant, &[("q", &format!("organization_id:{organization}")), ("per_page", "1")]).await;
    assert_eq!(members.body["total"], seen.len());
    assert!(seen.len() > 1_000);
    let user = seen.first().unwrap();
    let (roles, visited) =
        measured(&tenant, tenant.get(&format!("/api/v2/users/{user}/organizations"))).await;
    assert_eq!(ids(&roles.body, "id"), [organization]);
    assert!(visited < 50, "{visited}");
}

#[tokio::test]
async fn many_users_are_kept_and_exported_as_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        data: Some(folder.path().to_owned()),
        users: USERS,
        result_cap: false,
        ..Options::default()
    };
    let tenant = Tenant::start(options.clone()).await;
    let last = format!("/api/v2/users?per_page=100&page={}", USERS / 100 - 1);
    let page = tenant.get(&last).await.body;
    let id = page[7]["user_id"].as_str().unwrap().to_owned();
    tenant.patch(&format!("/api/v2/users/{id}"), json!({"nickname": "changed"})).await;
    let page = tenant.get(&last).await.body;
    tenant.kill().await;

    let tenant = Tenant::start(options).await;
    assert_eq!(tenant.get(&last).await.body, page);
    let fields: Vec<Value> = page[7].as_object().unwrap().keys().map(|name| json!({"name": name})).collect();
    let job =
        tenant.post("/api/v2/jobs/users-exports", json!({"format": "json", "fields": fields})).await.body;
    let path = format!("/api/v2/jobs/{}", job["id"].as_str().unwrap());
    let job = crate::wait::wait_for("the export is made", WITHIN, async || {
        let job = tenant.get(&path).await.body;
        (job["status"] == "completed").then_some(job)
    })
    .await;
    let lines =
        tenant.http.get(job["location"].as_str().unwrap()).send().await.unwrap().text().await.unwrap();
    assert_eq!(lines.lines().count(), USERS);
    let exported: Vec<Value> =
        lines.lines().skip(USERS - 100).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported[7], page[7]);
}
