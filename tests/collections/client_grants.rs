//! What applications may do at APIs.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

const API: &str = "https://api.example.com/invoices";

#[tokio::test]
async fn client_grants() {
    let mut story = Story::beside(&["client_grant"], &["client"], 5, async |emulator| {
        let clients = emulator.api.get("/api/v2/clients").await;
        let dashboard =
            clients.as_array().unwrap().iter().find(|client| client["name"] == "Dashboard").unwrap();
        let grant = json!({"client_id": dashboard["client_id"], "audience": API, "scope": ["read:invoices"]});
        emulator.api.post("/api/v2/client-grants", grant).await;
    })
    .await;
    let known = format!("select scope from auth0.client_grant where audience = '{API}'");
    story.reads(&known, json!(["read:invoices"])).await;
    let shop = "(select client_id from auth0.client where name = 'Web Shop')";
    let insert =
        format!("insert into auth0.client_grant (client_id, audience, scope) values ({shop}, '{API}', ");
    story.writes(&format!("{insert} '{{read:invoices}}')")).await;
    let id = story.session.text(&format!("select id from auth0.client_grant where client_id = {shop}")).await;
    let path = format!("/client-grants/{id}");
    story.auth0(&path, "/audience", API).await;
    let update = "update auth0.client_grant set scope = '{read:invoices,write:invoices}', \
                  organization_usage = 'allow'";
    story.writes(&format!("{update} where id = '{id}'")).await;
    story.auth0(&path, "/scope/1", "write:invoices").await;
    story.auth0(&path, "/organization_usage", "allow").await;
    let strange = "update auth0.client_grant set organization_usage = 'maybe'";
    story.refused(strange, "22023", "invalid input value for column \"organization_usage\"").await;
    story
        .reverted(&format!("{insert} '{{}}')"), "already exists", "select count(*) from auth0.client_grant")
        .await;
    let narrowed = Some(json!({"scope": ["write:invoices"]}));
    let scope = format!("select scope from auth0.client_grant where id = '{id}'");
    story.changed(Method::PATCH, &path, narrowed, &scope, json!(["write:invoices"])).await;
    story.writes(&format!("delete from auth0.client_grant where id = '{id}'")).await;
    story.gone(&path).await;
    story.end().await;
}
