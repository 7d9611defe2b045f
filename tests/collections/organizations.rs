//! Organizations: members and their roles, connections, invitations, domains and client grants.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

const API: &str = "https://api.example.com/invoices";
const TABLES: [&str; 7] = [
    "organization",
    "organization_member",
    "organization_member_role",
    "organization_connection",
    "organization_invitation",
    "organization_discovery_domain",
    "organization_client_grant",
];

#[tokio::test]
async fn organizations() {
    let mut story = Story::beside(
        &TABLES,
        &["user", "role", "connection", "client", "client_grant"],
        12,
        async |emulator| {
            let clients = emulator.api.get("/api/v2/clients").await;
            let shop =
                clients.as_array().unwrap().iter().find(|client| client["name"] == "Web Shop").unwrap();
            let id = shop["client_id"].as_str().unwrap();
            let login = json!({"initiate_login_uri": "https://shop.example.com/login"});
            emulator.api.patch(&format!("/api/v2/clients/{id}"), login).await;
            let grant = json!({"client_id": id, "audience": API, "scope": [], "organization_usage": "allow"});
            emulator.api.post("/api/v2/client-grants", grant).await;
        },
    )
    .await;
    story.reads("select metadata ->> 'tier' from auth0.organization where name = 'acme'", "gold").await;
    story.reads("select count(*) > 0 from auth0.organization_member", true).await;
    story.writes("insert into auth0.organization (name, display_name) values ('hooli', 'Hooli')").await;
    let id = story.session.text("select id from auth0.organization where name = 'hooli'").await;
    let path = format!("/organizations/{id}");
    story
        .writes("update auth0.organization set metadata = '{\"tier\": \"silver\"}' where name = 'hooli'")
        .await;
    story.auth0(&path, "/metadata/tier", "silver").await;

    // A member and their role may come in one statement after the other: the second waits for the first.
    let user = story.session.text("select min(user_id) from auth0.user").await;
    let role = story.session.text("select id from auth0.role where name = 'editor'").await;
    story
        .writes(&format!(
            "insert into auth0.organization_member (organization_id, user_id) values ('{id}', '{user}'); \
             insert into auth0.organization_member_role (organization_id, user_id, role_id) \
             values ('{id}', '{user}', '{role}')"
        ))
        .await;
    let member = user.replace('|', "%7C");
    story.auth0(&format!("{path}/members/{member}/roles"), "/0/name", "editor").await;

    let connection = "(select id from auth0.connection where strategy = 'auth0' order by id limit 1)";
    story
        .writes(&format!(
            "insert into auth0.organization_connection (organization_id, connection_id, assign_membership_on_login) \
             values ('{id}', {connection}, true)"
        ))
        .await;
    story.auth0(&format!("{path}/enabled_connections"), "/0/assign_membership_on_login", true).await;
    story.writes("update auth0.organization_connection set assign_membership_on_login = false").await;
    story.auth0(&format!("{path}/enabled_connections"), "/0/assign_membership_on_login", false).await;

    let shop = "(select client_id from auth0.client where name = 'Web Shop')";
    story
        .writes(&format!(
            "insert into auth0.organization_invitation (organization_id, client_id, inviter, invitee, ttl_sec) \
             values ('{id}', {shop}, '{{\"name\": \"Ada\"}}', '{{\"email\": \"guest@example.com\"}}', 3600)"
        ))
        .await;
    let invitation = "select invitation_url like 'https://shop.example.com/login?invitation=%' \
                      and expires_at - created_at = interval '1 hour' from auth0.organization_invitation";
    story.reads(invitation, true).await;

    story
        .writes(&format!(
            "insert into auth0.organization_discovery_domain (organization_id, domain) values ('{id}', 'hooli.example')"
        ))
        .await;
    story.auth0(&format!("{path}/discovery-domains?take=50"), "/domains/0/status", "pending").await;
    story.writes("update auth0.organization_discovery_domain set status = 'verified'").await;
    story.auth0(&format!("{path}/discovery-domains?take=50"), "/domains/0/status", "verified").await;

    story
        .writes(&format!(
            "insert into auth0.organization_client_grant (organization_id, grant_id) \
             select '{id}', id from auth0.client_grant where audience = '{API}'"
        ))
        .await;
    story.auth0(&format!("{path}/client-grants"), "/0/audience", API).await;

    let long = "update auth0.organization set name = repeat('x', 51) where name = 'hooli'";
    story.refused(long, "22001", "value too long for column \"name\"").await;
    story
        .reverted(
            "update auth0.organization set name = 'acme' where name = 'hooli'",
            "An organization with this name already exists.",
            "select count(*) from auth0.organization where name = 'acme'",
        )
        .await;
    let renamed = Some(json!({"display_name": "Hooli XYZ"}));
    let name = "select display_name from auth0.organization where name = 'hooli'";
    story.changed(Method::PATCH, &path, renamed, name, "Hooli XYZ").await;
    let members = format!("select count(*) from auth0.organization_member where organization_id = '{id}'");
    let second = story.session.text("select max(user_id) from auth0.user").await;
    let added = Some(json!({"members": [second]}));
    story.changed(Method::POST, &format!("{path}/members"), added, &members, 2).await;

    for table in [
        "organization_client_grant",
        "organization_discovery_domain",
        "organization_invitation",
        "organization_connection",
        "organization_member_role",
        "organization_member",
    ] {
        story.writes(&format!("delete from auth0.{table} where organization_id = '{id}'")).await;
    }
    story.writes(&format!("delete from auth0.organization where id = '{id}'")).await;
    story.gone(&path).await;
    story.end().await;
}
