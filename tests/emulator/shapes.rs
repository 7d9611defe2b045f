//! Rows of every shape that Auth0 has: below parents, one a parent, settings, bare values, lists
//! that are replaced, links of objects, commands.

use auth0_sync::emulator::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Tenant, answer};

async fn put(tenant: &Tenant, path: &str, body: Value) -> Answer {
    answer(tenant.request(Method::PUT, path).json(&body)).await.unwrap()
}

/// Makes a row; its id.
async fn made(tenant: &Tenant, path: &str, body: Value) -> String {
    let answer = tenant.post(path, body).await;
    assert!([200, 201].contains(&answer.status), "{path}: {}", answer.body);
    ["id", "client_id", "user_id"]
        .iter()
        .find_map(|key| answer.body[key].as_str())
        .unwrap_or_else(|| panic!("{path} answers no id: {}", answer.body))
        .to_owned()
}

#[tokio::test]
async fn a_child_is_found_below_its_own_parent_alone_and_goes_with_it() {
    let tenant = Tenant::with_users(0).await;
    let one = made(&tenant, "/api/v2/organizations", json!({"name": "one"})).await;
    let two = made(&tenant, "/api/v2/organizations", json!({"name": "two"})).await;
    let below = |organization: &str| format!("/api/v2/organizations/{organization}/discovery-domains");
    let domain = made(&tenant, &below(&one), json!({"domain": "one.example"})).await;

    assert_eq!(tenant.get(&below(&one)).await.body["domains"][0]["id"], domain);
    assert_eq!(tenant.get(&below(&two)).await.body, json!({"domains": []}));
    assert_eq!(tenant.get(&format!("{}/{domain}", below(&one))).await.status, 200);
    let elsewhere = tenant.get(&format!("{}/{domain}", below(&two))).await;
    assert_eq!(elsewhere.body["message"], "No organization domain found by that id");
    // Of two that are missing the parent is told.
    let nowhere = tenant.post(&below("org_none"), json!({"domain": "one.example"})).await;
    assert_eq!(
        (nowhere.status, &nowhere.body["message"]),
        (404, &json!("No organization found by that id or name"))
    );
    let changed = tenant.patch(&format!("{}/{domain}", below(&one)), json!({"status": "verified"})).await;
    assert_eq!((changed.status, &changed.body["status"]), (200, &json!("verified")));

    let rows = tenant.state().await["organization_discovery_domain"].clone();
    assert_eq!(rows[0]["organization_id"], one);
    assert_eq!(tenant.delete(&format!("/api/v2/organizations/{one}"), None).await.status, 204);
    assert_eq!(tenant.state().await["organization_discovery_domain"], json!([]));
}

#[tokio::test]
async fn a_parent_has_one_row_of_a_kind() {
    let tenant = Tenant::with_users(0).await;
    let okta = json!({"name": "okta", "strategy": "okta", "options": {}});
    let connection = made(&tenant, "/api/v2/connections", okta).await;
    let path = format!("/api/v2/connections/{connection}/scim-configuration");
    assert_eq!(tenant.get(&path).await.status, 404);
    let first = tenant.post(&path, json!({})).await;
    assert_eq!((first.status, first.body["connection_id"].as_str()), (201, Some(connection.as_str())));
    assert_eq!(tenant.post(&path, json!({})).await.status, 409);
    let changed = tenant.patch(&path, json!({"user_id_attribute": "mail", "mapping": []})).await;
    assert_eq!((changed.status, &changed.body["user_id_attribute"]), (200, &json!("mail")));
    assert_eq!(tenant.get(&path).await.body["mapping"], json!([]));
    assert_eq!(tenant.delete(&path, None).await.status, 204);
    assert_eq!(tenant.get(&path).await.status, 404);
}

#[tokio::test]
async fn settings_are_there_from_the_start_or_only_after_they_were_made() {
    let tenant = Tenant::with_users(0).await;
    let there = "/api/v2/attack-protection/brute-force-protection";
    assert_eq!(tenant.get(there).await.body["max_attempts"], 10);
    assert_eq!(tenant.patch(there, json!({"max_attempts": 7})).await.body["enabled"], true);
    assert_eq!(tenant.get(there).await.body["max_attempts"], 7);

    let absent = "/api/v2/emails/provider";
    assert_eq!(tenant.get(absent).await.body["errorCode"], "inexistent_email_provider");
    assert_eq!(tenant.patch(absent, json!({"enabled": false})).await.status, 404);
    let mail = json!({"name": "mailgun", "credentials": {"api_key": "secret", "domain": "m.example"}});
    assert_eq!(tenant.post(absent, mail.clone()).await.status, 201);
    assert_eq!(tenant.post(absent, mail).await.status, 409);
    assert_eq!(tenant.get(absent).await.body["name"], "mailgun");
    assert_eq!(tenant.delete(absent, None).await.status, 204);
    assert_eq!(tenant.get(absent).await.status, 404);

    // One PUT makes it and changes it; the status tells which.
    let page = "/api/v2/branding/templates/universal-login";
    let html = "<html>{%- auth0:head -%}{%- auth0:widget -%}</html>";
    assert_eq!(put(&tenant, page, json!({"template": html})).await.status, 201);
    assert_eq!(put(&tenant, page, json!(html)).await.status, 204);
    assert_eq!(tenant.get(page).await.body, json!({"body": html}));
}

#[tokio::test]
async fn a_bare_value_is_read_and_written_as_it_is() {
    let tenant = Tenant::with_users(0).await;
    let policies = "/api/v2/guardian/policies";
    assert_eq!(tenant.get(policies).await.body, json!([]));
    assert_eq!(put(&tenant, policies, json!(["all-applications"])).await.body, json!(["all-applications"]));
    assert_eq!(tenant.get(policies).await.body, json!(["all-applications"]));
    let refused = put(&tenant, policies, json!(["sometimes"])).await;
    assert_eq!(refused.body["message"], "Payload validation error: 'No enum match for: sometimes'.");
    let refused = put(&tenant, policies, json!({})).await.body["message"].clone();
    assert_eq!(refused, "Payload validation error: 'Expected type array but found type object'.");

    let texts = "/api/v2/prompts/login/custom-text/en";
    assert_eq!(tenant.get(texts).await.body, json!({}));
    put(&tenant, texts, json!({"login": {"title": "Hello", "description": "x"}})).await;
    // A PUT replaces all of it.
    put(&tenant, texts, json!({"login": {"title": "Hi"}})).await;
    assert_eq!(tenant.get(texts).await.body, json!({"login": {"title": "Hi"}}));
    assert_eq!(tenant.get("/api/v2/prompts/login/custom-text/de").await.body, json!({}));
    let refused = tenant.get("/api/v2/prompts/none-such/custom-text/en").await;
    assert_eq!((refused.status, &refused.body["errorCode"]), (400, &json!("invalid_uri")));
}

#[tokio::test]
async fn a_list_is_replaced_whole_and_keeps_its_order() {
    let tenant = Tenant::with_users(0).await;
    let mut actions = Vec::new();
    for name in ["one", "two"] {
        let action =
            json!({"name": name, "code": "x", "supported_triggers": [{"id": "post-login", "version": "v3"}]});
        let id = made(&tenant, "/api/v2/actions/actions", action).await;
        assert!(tenant.post(&format!("/api/v2/actions/actions/{id}/deploy"), json!({})).await.status < 300);
        actions.push(id);
    }
    let path = "/api/v2/actions/triggers/post-login/bindings";
    let binding =
        |place: usize| json!({"ref": {"type": "action_id", "value": actions[place]}, "display_name": "x"});
    let bound = tenant.patch(path, json!({"bindings": [binding(1), binding(0)]})).await;
    assert_eq!(bound.status, 200, "{}", bound.body);
    let listed = tenant.get(path).await.body;
    let order: Vec<_> =
        listed["bindings"].as_array().unwrap().iter().map(|item| &item["action"]["id"]).collect();
    assert_eq!(order, [&json!(actions[1]), &json!(actions[0])]);
    // The same rows in another order are the same rows.
    let again = tenant.patch(path, json!({"bindings": [binding(0), binding(1)]})).await.body;
    assert_eq!(again["bindings"][1]["id"], listed["bindings"][0]["id"]);
    tenant.patch(path, json!({"bindings": []})).await;
    assert_eq!(tenant.get(path).await.body["bindings"], json!([]));
}

#[tokio::test]
async fn links_carry_objects_and_show_what_they_name() {
    let tenant = Tenant::with_users(0).await;
    let api = json!({"identifier": "https://api.example/", "name": "API", "scopes": [{"value": "read:x", "description": "Reads"}]});
    made(&tenant, "/api/v2/resource-servers", api).await;
    let role = made(&tenant, "/api/v2/roles", json!({"name": "reader"})).await;
    let path = format!("/api/v2/roles/{role}/permissions");
    let permission =
        json!({"resource_server_identifier": "https://api.example/", "permission_name": "read:x"});
    assert_eq!(tenant.post(&path, json!({"permissions": [permission]})).await.status, 201);
    assert_eq!(
        tenant.get(&path).await.body,
        json!([{
            "resource_server_identifier": "https://api.example/", "permission_name": "read:x",
            "resource_server_name": "API", "description": "Reads",
        }])
    );
    let refused = tenant.post(&path, json!({"permissions": [{"permission_name": "read:x"}]})).await.body;
    let what = "Payload validation error: 'Missing required property: resource_server_identifier'.";
    assert_eq!(refused["message"], what);
    let unknown = json!({"resource_server_identifier": "https://none.example/", "permission_name": "read:x"});
    assert_eq!(tenant.post(&path, json!({"permissions": [unknown]})).await.status, 404);
    assert_eq!(tenant.delete(&path, Some(json!({"permissions": [permission]}))).await.status, 204);
    assert_eq!(tenant.get(&path).await.body, json!([]));

    // One call makes links and undoes them; what it means stands in each item.
    let client = made(&tenant, "/api/v2/clients", json!({"name": "app"})).await;
    let connection = made(&tenant, "/api/v2/connections", json!({"name": "db", "strategy": "auth0"})).await;
    let path = format!("/api/v2/connections/{connection}/clients");
    assert_eq!(tenant.patch(&path, json!([{"client_id": client, "status": true}])).await.status, 204);
    assert_eq!(tenant.get(&path).await.body, json!({"clients": [{"client_id": client}]}));
    let refused = tenant.patch(&path, json!([{"client_id": client, "status": "yes"}])).await;
    assert_eq!(refused.status, 400);
    assert_eq!(tenant.patch(&path, json!([{"client_id": client, "status": false}])).await.status, 204);
    assert_eq!(tenant.get(&path).await.body, json!({"clients": []}));
}

#[tokio::test]
async fn a_command_answers_and_changes_what_it_is_about() {
    let tenant = Tenant::with_users(1).await;
    let client = tenant.post("/api/v2/clients", json!({"name": "app"})).await.body;
    let path = format!("/api/v2/clients/{}", client["client_id"].as_str().unwrap());
    let rotated = tenant.post(&format!("{path}/rotate-secret"), json!({})).await;
    assert_eq!(rotated.status, 200);
    assert_ne!(rotated.body["client_secret"], client["client_secret"]);
    assert_eq!(tenant.get(&path).await.body["client_secret"], rotated.body["client_secret"]);
    assert_eq!(tenant.post("/api/v2/clients/none/rotate-secret", json!({})).await.status, 404);

    let user = tenant.state().await["user"][0]["user_id"].clone();
    let ticket = tenant.post("/api/v2/tickets/password-change", json!({"user_id": user})).await;
    assert_eq!(ticket.status, 201);
    assert!(ticket.body["ticket"].as_str().unwrap().contains("ticket="), "{}", ticket.body);
    let nobody = tenant.post("/api/v2/tickets/password-change", json!({"user_id": "auth0|none"})).await;
    assert_eq!((nobody.status, &nobody.body["errorCode"]), (404, &json!("inexistent_user")));
    let strange = tenant.post("/api/v2/tickets/password-change", json!({"who": "x"})).await;
    assert_eq!(
        strange.body["message"],
        "Payload validation error: 'Additional properties not allowed: who'."
    );
}

#[tokio::test]
async fn what_the_plan_lacks_is_refused_and_a_tenant_without_a_plan_has_it() {
    let path = "/api/v2/attack-protection/bot-detection";
    let usual = Tenant::with_users(0).await;
    assert_eq!(usual.get(path).await.status, 200);
    let without = vec!["bot_detection".to_owned()];
    let lacking = Tenant::start(Options { without, ..Options::default() }).await;
    let refused = lacking.get(path).await;
    assert_eq!((refused.status, &refused.body["errorCode"]), (403, &json!("insufficient_entitlement")));
    let withheld = vec!["read:roles".to_owned()];
    let narrow = Tenant::start(Options { withheld, ..Options::default() }).await;
    assert_eq!(narrow.get("/api/v2/roles").await.body["errorCode"], "insufficient_scope");
}

#[tokio::test]
async fn envelopes_are_as_each_resource_has_them() {
    let tenant = Tenant::with_users(0).await;
    // Actions leave zeros out and always have an envelope.
    assert_eq!(tenant.get("/api/v2/actions/actions").await.body, json!({"actions": [], "per_page": 20}));
    assert!(tenant.get("/api/v2/custom-domains").await.body.is_array());
    assert!(tenant.get("/api/v2/custom-domains?take=5").await.body["custom_domains"].is_array());
    assert!(tenant.get("/api/v2/log-streams").await.body.is_array());
    let organization = made(&tenant, "/api/v2/organizations", json!({"name": "one"})).await;
    let invitations = format!("/api/v2/organizations/{organization}/invitations?include_totals=true");
    let envelope = tenant.get(&invitations).await.body;
    assert_eq!(envelope["total"], Value::Null, "{envelope}");
    assert_eq!(envelope["invitations"], json!([]));
    let required = tenant.get("/api/v2/refresh-tokens").await.body;
    assert_eq!(required["message"], "Query validation error: 'Missing required property: user_id'.");
}
