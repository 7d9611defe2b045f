//! Users for a tenant to play with: believable names over two databases, some with a username.

use chrono::{DateTime, TimeDelta};
use rand::rngs::StdRng;
use serde_json::json;

pub(in crate::emulator) use super::users::TABLE;
use super::users::complete_profile;
use crate::emulator::ids;
use crate::emulator::rules::Fields;

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
const PLANS: [&str; 3] = ["free", "team", "business"];
/// The databases; users of the second have a username.
const DATABASES: [&str; 2] = ["Username-Password-Authentication", "Partners"];
/// When the first user came, in UNIX seconds; the others follow about hourly.
const FIRST_USER: i64 = 1_700_000_000;

/// The user with this number.
pub(in crate::emulator) fn one(number: usize, rng: &mut StdRng) -> Fields {
    let (first, last) = (FIRST_NAMES[number % FIRST_NAMES.len()], LAST_NAMES[number / 7 % LAST_NAMES.len()]);
    let own = ids::shaped_by(rng, "{24x}");
    let partner = number % 5 == 4;
    let login = format!("{}.{}{number}", first.to_lowercase(), last.to_lowercase());
    let count = i64::try_from(number).unwrap_or_default();
    let born = DateTime::from_timestamp(FIRST_USER + count * 3_607, 0).unwrap_or_default();
    let identity = json!({
        "connection": DATABASES[usize::from(partner)], "user_id": own, "provider": "auth0", "isSocial": false,
    });
    let user = json!({
        "user_id": format!("auth0|{own}"),
        "email": format!("{login}@example.com"),
        "email_verified": !number.is_multiple_of(3),
        "given_name": first,
        "family_name": last,
        "name": format!("{first} {last}"),
        "identities": [identity],
        "created_at": ids::time(born),
        "updated_at": ids::time(born + TimeDelta::days(count % 40)),
        "user_metadata": {"theme": if number.is_multiple_of(2) { "dark" } else { "light" }},
        "app_metadata": {"plan": PLANS[number % PLANS.len()]},
    });
    let mut user = user.as_object().cloned().unwrap_or_default();
    if partner {
        user.insert("username".into(), login.into());
    }
    if !number.is_multiple_of(4) {
        user.insert("last_login".into(), ids::time(born + TimeDelta::days(count % 40)).into());
        user.insert("logins_count".into(), (number % 17 + 1).into());
        user.insert("last_ip".into(), format!("203.0.113.{}", number % 250 + 1).into());
    }
    complete_profile(&mut user);
    user
}
