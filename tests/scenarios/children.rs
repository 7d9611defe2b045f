//! Rows below a parent whose last part of the key Auth0 makes.

use std::time::Duration;

use serde_json::json;

use super::{there, user};
use crate::support::{Stand, all_settled, wait_until};

/// What the stand mirrors.
pub const TABLES: &[&str] = &[
    "user",
    "organization",
    "organization_discovery_domain",
    "role",
    "organization_member",
    "organization_member_role",
];

const WITHIN: Duration = Duration::from_secs(20);
const DOMAINS: &str = "/discovery-domains$";

pub async fn keys_below_a_parent_are_made_by_auth0(stand: &mut Stand) {
    let mut session = stand.session().await;
    session
        .confirmed(
            "do $$ declare o text; d text; begin \
             insert into auth0.organization (name) values ('vandelay') returning id into o; \
             insert into auth0.organization_discovery_domain (organization_id, domain) \
             values (o, 'one.example'), (o, 'two.example'); \
             insert into auth0.organization_discovery_domain (organization_id, domain) \
             values (o, 'three.example') returning id into d; \
             update auth0.organization_discovery_domain set status = 'verified' where id = d; \
             delete from auth0.organization_discovery_domain where domain = 'two.example'; end $$",
        )
        .await;
    let organization = session.text("select id from auth0.organization where name = 'vandelay'").await;
    let path = format!("/api/v2/organizations/{organization}/discovery-domains");
    let listed = stand.emulator.api.get(&path).await;
    let mut domains: Vec<_> = listed["domains"]
        .as_array()
        .unwrap()
        .iter()
        .map(|domain| (domain["domain"].as_str().unwrap(), domain["status"].as_str().unwrap()))
        .collect();
    domains.sort_unstable();
    assert_eq!(domains, [("one.example", "pending"), ("three.example", "verified")]);
    let shown = session
        .rows("select id, domain, verification_txt from auth0.organization_discovery_domain order by domain")
        .await;
    assert!(shown.iter().all(|row| !row["id"].as_str().unwrap().starts_with("new_")), "{shown:?}");
    assert!(shown.iter().all(|row| row["verification_txt"].is_string()), "{shown:?}");
    let left = "select count(*) from auth0._sync_cdc where key::text || coalesce(after::text, '') like '%new_%' \
                and state <> 'merged'";
    assert_eq!(session.count(left).await, 0);
}

pub async fn a_lost_answer_below_a_parent_is_found(stand: &mut Stand) {
    let mut session = stand.session().await;
    let organizations = session.rows("select id from auth0.organization order by id limit 2").await;
    let id = |n: usize| organizations[n]["id"].as_str().unwrap().to_owned();
    let insert = |organization: String| {
        format!(
            "insert into auth0.organization_discovery_domain (organization_id, domain) values ('{organization}', 'lost.example')"
        )
    };
    // The same domain below another organization is somebody else's.
    session.confirmed(&insert(id(0))).await;
    for fault in ["drop_after", "drop_before"] {
        stand
            .emulator
            .fault(json!({"match": {"method": "POST", "path": DOMAINS}, "times": 1, "do": fault}))
            .await;
        session.confirmed(&insert(id(1))).await;
        let rows = "select count(*) from auth0.organization_discovery_domain where domain = 'lost.example'";
        assert_eq!(session.count(rows).await, 2);
        assert_eq!(there(stand, "organization_discovery_domain", "domain", "lost.example").await.len(), 2);
        session
            .confirmed(&format!(
                "delete from auth0.organization_discovery_domain where organization_id = '{}'",
                id(1)
            ))
            .await;
    }
}

pub async fn a_refused_parent_takes_everything_below_it_back(stand: &mut Stand) {
    let mut session = stand.session().await;
    let taken = session.text("select name from auth0.organization order by name limit 1").await;
    session
        .run(&format!(
            "do $$ declare o text; begin \
             insert into auth0.organization (name) values ('{taken}') returning id into o; \
             insert into auth0.organization_discovery_domain (organization_id, domain) values (o, 'never.example'); \
             update auth0.organization_discovery_domain set status = 'verified' where organization_id = o; end $$"
        ))
        .await;
    assert!(session.wait().await.is_err());
    all_settled(stand).await;
    let left = "select count(*) from auth0.organization_discovery_domain where domain = 'never.example'";
    assert_eq!(session.count(left).await, 0);
    assert!(there(stand, "organization_discovery_domain", "domain", "never.example").await.is_empty());
}

pub async fn a_right_waits_for_its_member(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 0).await;
    session
        .confirmed(&format!(
            "do $$ declare o text; r text; begin \
             insert into auth0.organization (name) values ('kramerica') returning id into o; \
             insert into auth0.role (name) values ('intern') returning id into r; \
             insert into auth0.organization_member values (o, '{id}'); \
             insert into auth0.organization_member_role (organization_id, user_id, role_id) values (o, '{id}', r); end $$"
        ))
        .await;
    let organization = session.text("select id from auth0.organization where name = 'kramerica'").await;
    let made = there(stand, "organization_member_role", "organization_id", &organization).await;
    assert_eq!(made.len(), 1, "{made:?}");
    // A member who goes takes the rights along.
    session
        .confirmed(&format!("delete from auth0.organization_member where organization_id = '{organization}'"))
        .await;
    let left = "select count(*) from auth0.organization_member_role";
    assert_eq!(session.count(left).await, 0);
}

/// Holds every UPDATE of members up after it has looked for its rows.
const GATE: &str = "create function public.gate() returns trigger language plpgsql as \
    $$ begin perform pg_advisory_xact_lock(4242); return null; end $$; \
    create trigger gate after update on auth0.organization_member execute function public.gate(); \
    alter table auth0.organization_member enable always trigger gate; \
    select pg_advisory_lock(4242)";

pub async fn a_row_below_a_provisional_key_may_be_committed_at_any_time(stand: &mut Stand) {
    let (mut gate, mut session) = (stand.root().await, stand.session().await);
    let id = user(&mut session, 0).await;
    gate.run(GATE).await;
    session.run("insert into auth0.organization (name) values ('pendant')").await;
    let held_up =
        "select count(*) from pg_locks where locktype = 'advisory' and objid = 4242 and not granted";
    wait_until("the key is being replaced", WITHIN, async || gate.count(held_up).await == 1).await;
    let insert = format!(
        "insert into auth0.organization_member (organization_id, user_id) \
         select id, '{id}' from auth0.organization where name = 'pendant' and id like 'new\\_%'"
    );
    session.run(&insert).await;
    let provisional = "select count(*) from auth0.organization_member where organization_id like 'new\\_%'";
    assert_eq!(session.count(provisional).await, 1);
    gate.run("select pg_advisory_unlock(4242)").await;
    assert_eq!(session.wait().await, Ok("confirmed".to_owned()));
    gate.run("drop trigger gate on auth0.organization_member; drop function public.gate()").await;
    assert_eq!(session.count(provisional).await, 0);
}
