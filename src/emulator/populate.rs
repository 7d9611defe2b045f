//! Fills a fresh tenant: what every tenant has, and, where asked, users with organizations, roles
//! and applications. The same number of users always gives the same tenant.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::options::Credentials;
use super::quirks::{clients, connections, users};
use super::reads::own_key;
use super::rules::Fields;
use super::store::Store;
use super::world::{World, key_in};
use super::writes::complete;
use crate::error::Result;

const FIRST_NAMES: [&str; 24] = [
    "Ada",
    "Alan",
    "Amina",
    "Barbara",
    "Carlos",
    "Chiara",
    "Dennis",
    "Edsger",
    "Fatima",
    "Grace",
    "Hedy",
    "Ines",
    "Joan",
    "Katherine",
    "Kenji",
    "Lin",
    "Margaret",
    "Nadia",
    "Olga",
    "Priya",
    "Radia",
    "Sofia",
    "Tariq",
    "Yuki",
];
const LAST_NAMES: [&str; 20] = [
    "Almeida", "Bauer", "Chen", "Diallo", "Eriksen", "Fischer", "Garcia", "Haddad", "Ivanova", "Jensen",
    "Kowalski", "Lopez", "Moreau", "Nakamura", "Okafor", "Patel", "Rossi", "Silva", "Tanaka", "Weber",
];
const ORGANIZATIONS: [(&str, &str); 5] = [
    ("acme", "Acme Inc."),
    ("globex", "Globex Corporation"),
    ("initech", "Initech"),
    ("umbrella", "Umbrella Health"),
    ("stark", "Stark Industries"),
];
const ROLES: [(&str, &str); 5] = [
    ("admin", "Runs everything"),
    ("editor", "Changes content"),
    ("viewer", "Reads content"),
    ("billing", "Sees and pays invoices"),
    ("support", "Helps customers"),
];
const APPLICATIONS: [(&str, &str); 3] =
    [("Web Shop", "regular_web"), ("Mobile App", "native"), ("Dashboard", "spa")];
const PLANS: [&str; 3] = ["free", "team", "business"];
const SECOND_DATABASE: &str = "Partners";

/// Puts what every tenant has into an empty one.
///
/// # Errors
/// `internal`: the catalogue lacks a table.
pub(super) fn fresh(world: &World, store: &mut Store, tenant: &str, client: &Credentials) -> Result<()> {
    for resource in world.catalog.iter() {
        let (resource, rules) = world.table(&resource.table)?;
        for row in &rules.fresh {
            let mut row = row.clone();
            for value in row.values_mut() {
                match value.as_str() {
                    Some("$client_id") => *value = client.id.as_str().into(),
                    Some("$client_secret") => *value = client.secret.as_str().into(),
                    Some("$tenant") => *value = tenant.into(),
                    _ => {}
                }
            }
            insert(world, store, &resource.table, row)?;
        }
    }
    Ok(())
}

/// Adds `count` users over two databases, with organizations, roles and applications.
///
/// # Errors
/// `internal`: the catalogue lacks a table.
pub(super) fn people(world: &World, store: &mut Store, tenant: &str, count: usize) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(count as u64);
    let mut id = |length: usize| -> String {
        (0..length).map(|_| char::from_digit(rng.random_range(0..16), 16).unwrap_or('0')).collect()
    };
    let row = |value: Value| value.as_object().cloned().unwrap_or_default();
    let options = json!({"requires_username": true});
    let second = json!({"id": format!("con_{}", id(16)), "name": SECOND_DATABASE, "strategy": "auth0",
        "realms": [SECOND_DATABASE], "options": options});
    insert(world, store, connections::TABLE, row(second))?;
    for (name, kind) in APPLICATIONS {
        let client = json!({"client_id": id(32), "client_secret": id(64), "name": name, "app_type": kind,
            "tenant": tenant, "callbacks": ["https://app.example.com/callback"]});
        insert(world, store, clients::TABLE, row(client))?;
    }
    let mut organizations = Vec::new();
    for (name, display) in ORGANIZATIONS.into_iter().take(3 + count.min(1000) / 250) {
        let key = format!("org_{}", id(16));
        let organization =
            json!({"id": key, "name": name, "display_name": display, "metadata": {"tier": "gold"}});
        insert(world, store, "organization", row(organization))?;
        organizations.push(key);
    }
    let mut roles = Vec::new();
    for (name, description) in ROLES {
        let key = format!("rol_{}", id(16));
        insert(world, store, "role", row(json!({"id": key, "name": name, "description": description})))?;
        roles.push(key);
    }
    for number in 0..count {
        let (first, last) =
            (FIRST_NAMES[number % FIRST_NAMES.len()], LAST_NAMES[number / 7 % LAST_NAMES.len()]);
        let own = id(24);
        let key = format!("auth0|{own}");
        let partner = number % 5 == 4;
        let connection = if partner { SECOND_DATABASE } else { "Username-Password-Authentication" };
        let login = format!("{}.{}{number}", first.to_lowercase(), last.to_lowercase());
        let born =
            chrono::DateTime::from_timestamp(1_700_000_000 + number as i64 * 3_607, 0).unwrap_or_default();
        let mut user = row(json!({
            "user_id": key,
            "email": format!("{login}@example.com"),
            "email_verified": number % 3 != 0,
            "given_name": first,
            "family_name": last,
            "name": format!("{first} {last}"),
            "identities": [{"connection": connection, "user_id": own, "provider": "auth0", "isSocial": false}],
            "created_at": super::ids::time(born),
            "updated_at": super::ids::time(born + chrono::TimeDelta::days(number as i64 % 40)),
            "user_metadata": {"theme": if number % 2 == 0 { "dark" } else { "light" }},
            "app_metadata": {"plan": PLANS[number % PLANS.len()]},
        }));
        if partner {
            user.insert("username".into(), login.into());
        }
        if number % 4 != 0 {
            user.insert("last_login".into(), super::ids::time(born + chrono::TimeDelta::days(1)).into());
            user.insert("logins_count".into(), (number % 17 + 1).into());
            user.insert("last_ip".into(), format!("203.0.113.{}", number % 250 + 1).into());
        }
        users::complete_profile(&mut user);
        insert(world, store, users::TABLE, user)?;
        if number % 2 == 0 {
            let organization = &organizations[number / 2 % organizations.len()];
            let link = json!({"organization_id": organization, "user_id": key});
            insert(world, store, "organization_member", row(link))?;
        }
        if number % 3 == 0 {
            let link = json!({"user_id": key, "role_id": roles[number / 3 % roles.len()]});
            insert(world, store, "user_role", row(link))?;
        }
    }
    Ok(())
}

fn insert(world: &World, store: &mut Store, table: &str, mut row: Fields) -> Result<()> {
    let (resource, rules) = world.table(table)?;
    complete(resource, rules, &mut row);
    if let Some(key) = own_key(resource, &row).or_else(|| key_in(resource, &row)) {
        store.put(table, &key, row, Fields::new());
    }
    Ok(())
}
