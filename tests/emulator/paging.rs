//! Lists: offset, checkpoint, the cap, selection of fields, filters and search.

use auth0_sync::emulator::Options;
use serde_json::json;

use crate::client::{Tenant, ids};

#[tokio::test]
async fn offset_pages_come_bare_or_with_totals_and_cover_everything_once() {
    let tenant = Tenant::with_users(120).await;
    let bare = tenant.get("/api/v2/users?per_page=100").await;
    assert_eq!(bare.body.as_array().unwrap().len(), 100);
    let mut seen = Vec::new();
    for page in 0..3 {
        let answer = tenant.get(&format!("/api/v2/users?include_totals=true&per_page=50&page={page}")).await;
        assert_eq!(answer.body["total"], 120);
        assert_eq!(answer.body["start"], page * 50);
        assert_eq!(answer.body["limit"], 50);
        seen.extend(ids(&answer.body["users"], "user_id"));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 120);
}

#[tokio::test]
async fn checkpoint_pages_cover_everything_once_even_if_the_last_seen_row_goes() {
    let tenant = Tenant::with_users(0).await;
    for number in 0..5 {
        tenant.post("/api/v2/organizations", json!({"name": format!("org-{number}")})).await;
    }
    let first = tenant.get("/api/v2/organizations?take=2").await;
    let seen = ids(&first.body["organizations"], "id");
    assert_eq!(tenant.delete(&format!("/api/v2/organizations/{}", seen[1]), None).await.status, 204);
    let next = first.body["next"].as_str().unwrap();
    let second = tenant.get(&format!("/api/v2/organizations?take=3&from={next}")).await;
    assert_eq!(second.body["organizations"].as_array().unwrap().len(), 3);
    assert!(second.body.get("next").is_none());
}

#[tokio::test]
async fn a_checkpoint_of_members_ends_with_an_empty_page() {
    let tenant = Tenant::with_users(10).await;
    let state = tenant.state().await;
    let organization = state["organization_member"][0]["organization_id"].as_str().unwrap();
    let path = format!("/api/v2/organizations/{organization}/members?take=100");
    let first = tenant.get(&path).await;
    let next = first.body["next"].as_str().unwrap();
    assert_eq!(tenant.get(&format!("{path}&from={next}")).await.body, json!({"members": []}));
}

#[tokio::test]
async fn users_end_after_a_thousand_unless_the_cap_is_off() {
    let tenant = Tenant::with_users(1_050).await;
    assert_eq!(tenant.get("/api/v2/users?per_page=100&page=9").await.status, 200);
    let beyond = tenant.get("/api/v2/users?per_page=100&page=10").await;
    assert_eq!(beyond.status, 400);
    assert!(
        beyond.body["message"]
            .as_str()
            .unwrap()
            .starts_with("You can only page through the first 1000 records.")
    );

    let tenant = Tenant::start(Options { users: 1_050, result_cap: false, ..Options::default() }).await;
    let page = tenant.get("/api/v2/users?per_page=100&page=10").await;
    assert_eq!(page.body.as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn a_page_that_is_too_large_is_refused() {
    let tenant = Tenant::with_users(0).await;
    let refused = tenant.get("/api/v2/users?per_page=101").await;
    assert_eq!((refused.status, &refused.body["errorCode"]), (400, &json!("invalid_query_string")));
}

#[tokio::test]
async fn fields_are_selected_and_left_out() {
    let tenant = Tenant::with_users(3).await;
    let some = tenant.get("/api/v2/users?fields=email,name&include_fields=true").await;
    assert_eq!(some.body[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["email", "name"]);
    let rest = tenant.get("/api/v2/users?fields=email,name&include_fields=false").await;
    assert!(rest.body[0].get("email").is_none() && rest.body[0].get("user_id").is_some());
}

#[tokio::test]
async fn lists_are_filtered_and_searched() {
    let tenant = Tenant::with_users(40).await;
    let email = tenant.state().await["user"][7]["email"].as_str().unwrap().to_owned();
    let found = tenant.get(&format!("/api/v2/users?q=email:%22{email}%22&search_engine=v3")).await;
    assert_eq!(found.body.as_array().unwrap().len(), 1);
    let found =
        tenant.get("/api/v2/users?q=identities.connection:Partners%20AND%20email_verified:true").await;
    let partners = found.body.as_array().unwrap();
    assert!(!partners.is_empty() && partners.iter().all(|user| user["username"].is_string()));
    let found = tenant.get(&format!("/api/v2/users-by-email?email={email}")).await;
    assert_eq!(ids(&found.body, "email"), [email]);

    let global = tenant.get("/api/v2/clients?is_global=true").await;
    assert_eq!(ids(&global.body, "name"), ["All Applications"]);
    let spa = tenant.get("/api/v2/clients?app_type=spa").await;
    assert_eq!(ids(&spa.body, "name"), ["Dashboard"]);
    let named = tenant.get("/api/v2/connections?name=Partners&strategy=auth0").await;
    assert_eq!(ids(&named.body, "name"), ["Partners"]);
    let roles = tenant.get("/api/v2/roles?name_filter=EDIT").await;
    assert_eq!(ids(&roles.body, "name"), ["editor"]);
    let organization = tenant.get("/api/v2/organizations/name/acme").await;
    assert_eq!(organization.body["display_name"], "Acme Inc.");
}
