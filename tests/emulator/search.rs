//! The search of users as Auth0 documents it, over HTTP.

use serde_json::json;

use crate::client::{Answer, Tenant, answer, ids};

async fn search(tenant: &Tenant, query: &[(&str, &str)]) -> Answer {
    answer(tenant.request(reqwest::Method::GET, "/api/v2/users").query(query)).await.unwrap()
}

/// Four users: `a` to `d`.
async fn four() -> Tenant {
    let tenant = Tenant::with_users(0).await;
    let user = |id: &str, number: u32, connection: &str| {
        json!({
            "user_id": id, "email": format!("{id}@Example.com"), "email_verified": number.is_multiple_of(2),
            "name": format!("Name {id}"), "created_at": format!("2024-0{number}-15T12:00:00.000Z"),
            "updated_at": format!("2024-0{number}-15T12:00:00.500Z"),
            "logins_count": number * 5, "user_metadata": {"theme": "Dark"},
            "app_metadata": {"plan": if number > 2 { "gold" } else { "silver" }, "tags": ["one", id]},
            "identities": [{"connection": connection, "user_id": id, "provider": "auth0", "isSocial": false}],
        })
    };
    let mut last = user("d", 4, "Partners");
    last["email"] = json!("d@other.org");
    last.as_object_mut().unwrap().remove("logins_count");
    let document = json!({
        "collections": {
            "/users": [user("a", 1, "Main"), user("b", 2, "Main"), user("c", 3, "Partners"), last],
            "/organizations": [{"id": "org_1", "name": "acme"}],
            "/organizations/org_1/members": [{"user_id": "b"}, {"user_id": "d"}],
        },
    });
    assert_eq!(tenant.post("/_emulator/preload", document).await.body["rows"], 7);
    tenant
}

#[tokio::test]
async fn users_are_found_by_every_form_of_a_query() {
    let tenant = four().await;
    for (query, expected) in [
        ("email:\"A@example.com\"", "a"),
        ("user_id:\"b\"", "b"),
        ("user_id:\"B\"", ""),
        ("name:\"name c\"", "c"),
        ("name:nam*", "abcd"),
        ("name:*ame*", "abcd"),
        ("email.domain:\"example.com\"", "abc"),
        ("organization_id:org_1", "bd"),
        ("identities.connection:\"Partners\"", "cd"),
        ("app_metadata.plan:gold AND identities.connection:Partners", "cd"),
        ("app_metadata.plan:GOLD", ""),
        ("app_metadata.tags:\"a\"", "a"),
        ("user_metadata.theme:\"Dark\"", "abcd"),
        ("Dark", ""),
        ("logins_count:[* TO 10}", "a"),
        ("logins_count:[10 TO 15]", "bc"),
        ("NOT _exists_:logins_count OR logins_count:5", "ad"),
        ("created_at:[2024-02 TO 2024-03]", "bc"),
        ("created_at:{2024-02 TO *]", "cd"),
        ("updated_at:{2024-02-15T12:00:00.500Z TO 2024-04-15T12:00:00.500Z]", "cd"),
        ("updated_at:[2024-02-15T12:00:00.500Z TO 2024-04-15T12:00:00.500Z}", "bc"),
        ("created_at:[2024-01-01 TO 2024-02-28] OR user_id:d", "abd"),
        ("created_at:2024-03-15", "c"),
        ("email_verified:true AND NOT created_at:[2024-03-01 TO *]", "b"),
        ("email_verified:true -user_id:b", "d"),
        ("name:(\"Name a\" OR \"Name b\")", "ab"),
        (r"name:Name\ a", "a"),
    ] {
        let found =
            search(&tenant, &[("q", query), ("search_engine", "v3"), ("include_totals", "true")]).await;
        assert_eq!(found.status, 200, "{query}: {}", found.body);
        assert_eq!(ids(&found.body["users"], "user_id").concat(), expected, "{query}");
        assert_eq!(found.body["total"], expected.len(), "{query}");
    }
}

#[tokio::test]
async fn found_users_are_sorted_and_paged() {
    let tenant = four().await;
    for (sort, expected) in
        [("created_at:-1", "dcb"), ("created_at:1", "bcd"), ("logins_count:-1", "cbd"), ("name:1", "bcd")]
    {
        let query = [("q", "created_at:[2024-02 TO *]"), ("sort", sort)];
        assert_eq!(ids(&search(&tenant, &query).await.body, "user_id").concat(), expected, "{sort}");
        let page = [&query[..], &[("per_page", "1"), ("page", "2")]].concat();
        assert_eq!(ids(&search(&tenant, &page).await.body, "user_id").concat(), expected[2..], "{sort}");
    }
    assert_eq!(ids(&search(&tenant, &[("sort", "created_at:-1")]).await.body, "user_id").concat(), "dcba");
    assert_eq!(ids(&search(&tenant, &[("sort", "logins_count:1")]).await.body, "user_id").concat(), "dabc");
}

#[tokio::test]
async fn what_auth0_does_not_search_is_refused() {
    let tenant = four().await;
    let long = format!("name:{}", "a".repeat(10_000));
    for (query, status) in [
        (vec![("q", "name:(")], 400),
        (vec![("q", "created_at:2024-01-01T00:00:00Z")], 400),
        (vec![("q", "user_metadata.theme:D*")], 400),
        (vec![("q", "user_metadata.theme:[a TO z]")], 400),
        (vec![("q", "name:*me")], 400),
        (vec![("sort", "user_metadata.theme:1")], 400),
        (vec![("sort", "name")], 400),
        (vec![("search_engine", "v2"), ("q", "name:a")], 400),
        (vec![("q", long.as_str())], 414),
    ] {
        let refused = search(&tenant, &query).await;
        assert_eq!(refused.status, status, "{query:?}: {}", refused.body);
        if status == 400 {
            assert_eq!(refused.body["errorCode"], "invalid_query_string", "{query:?}");
        }
    }
}

#[tokio::test]
async fn a_search_ends_after_a_thousand_users_and_counts_them_all() {
    let tenant = Tenant::with_users(1_050).await;
    let query = |page: &'static str| {
        [("q", "email.domain:example.com"), ("per_page", "100"), ("include_totals", "true"), ("page", page)]
    };
    let last = search(&tenant, &query("9")).await;
    assert_eq!((last.status, &last.body["total"]), (200, &json!(1_050)));
    let beyond = search(&tenant, &query("10")).await;
    assert_eq!((beyond.status, &beyond.body["errorCode"]), (400, &json!("invalid_paging")));
}
