//! Identities and second factors stand in the user's own row: linking takes one in from another
//! user, who then is gone, and unlinking makes a user of it again.

use serde_json::{Value, json};

use super::Quirks;
use super::users::TABLE as USERS;
use crate::emulator::calls::Incoming;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::rules::Fields;
use crate::emulator::store::{Row, Store};
use crate::emulator::world::{Request, World};
use crate::emulator::writes::remove;

pub(super) const TABLE: &str = "user_identity";
pub(super) const FACTORS: &str = "user_multifactor";

/// What a linked identity says of its user.
const PROFILE: [&str; 9] = [
    "email",
    "email_verified",
    "given_name",
    "family_name",
    "name",
    "nickname",
    "picture",
    "username",
    "phone_number",
];

pub(super) struct Identities;

impl Quirks for Identities {
    fn embedded(&self, store: &Store) -> Vec<Fields> {
        let of_user = |(user, row): (&String, &Row)| {
            let user = user.clone();
            identities(&row.body).into_iter().filter_map(move |identity| {
                let Value::Object(mut fields) = identity else { return None };
                let own = fields.insert("user_id".into(), user.as_str().into())?;
                fields.insert("identity_user_id".into(), own);
                Some(fields)
            })
        };
        store.table(USERS).iter().flat_map(of_user).collect()
    }

    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, route, values }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        Some(match route.method.as_str() {
            "POST" => link(world, store, request, values),
            _ => unlink(world, store, values),
        })
    }
}

pub(super) struct Factors;

impl Quirks for Factors {
    fn embedded(&self, store: &Store) -> Vec<Fields> {
        let of_user = |(user, row): (&String, &Row)| {
            let user = user.clone();
            let providers =
                row.body.get("multifactor").and_then(Value::as_array).cloned().unwrap_or_default();
            providers.into_iter().filter_map(move |provider| {
                json!({"user_id": user, "provider": provider}).as_object().cloned()
            })
        };
        store.table(USERS).iter().flat_map(of_user).collect()
    }

    fn call(
        &self,
        store: &mut Store,
        Incoming { world, values, .. }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let row = match user(world, store, values) {
            Ok(row) => row,
            Err(problem) => return Some(Err(problem)),
        };
        let Row { mut body, hidden, .. } = row;
        if let Some(Value::Array(providers)) = body.get_mut("multifactor") {
            providers.retain(|provider| Some(provider) != values.get("provider"));
            if providers.is_empty() {
                body.shift_remove("multifactor");
            }
        }
        store.put(USERS, text(values, "user_id"), body, hidden);
        Some(Ok(Answer::empty(204)))
    }
}

fn link(world: &World, store: &mut Store, request: &Request, values: &Fields) -> Result<Answer, Problem> {
    let Row { mut body, hidden, .. } = user(world, store, values)?;
    let sent = request.object()?;
    if let Some(strange) = sent
        .keys()
        .find(|name| !["provider", "user_id", "connection_id", "link_with"].contains(&name.as_str()))
    {
        return Err(Problem::payload(&format!("Additional properties not allowed: {strange}"), None));
    }
    let (provider, other) = (text(&sent, "provider"), text(&sent, "user_id"));
    let other = if other.contains('|') { other.to_owned() } else { format!("{provider}|{other}") };
    let own = text(values, "user_id");
    if other == own {
        return Err(Problem::body("Main identity and the new one are the same."));
    }
    let known = identities(&body).iter().any(|identity| id_of(identity) == other);
    if known {
        return Err(Problem::new(409, "Specified identity already exists.", "identity_conflict"));
    }
    let second = store.get(USERS, &other).cloned().ok_or_else(|| {
        Problem::new(400, "Linking to an inexistent identity is not allowed.", "inexistent_identity")
    })?;
    let mut taken = identities(&second.body);
    profile(&mut taken, &second.body);
    let mut all = identities(&body);
    all.append(&mut taken);
    remove(world, store, USERS, &other);
    body.insert("identities".into(), all.clone().into());
    profile(&mut all, &body);
    store.put(USERS, own, body, hidden);
    Ok(Answer::new(201, all.into()))
}

fn unlink(world: &World, store: &mut Store, values: &Fields) -> Result<Answer, Problem> {
    let Row { mut body, hidden, .. } = user(world, store, values)?;
    let wanted = format!("{}|{}", text(values, "provider"), text(values, "identity_user_id"));
    let own = text(values, "user_id");
    if wanted == own {
        return Err(Problem::body("Main identity cannot be removed."));
    }
    let (gone, left): (Vec<Value>, Vec<Value>) =
        identities(&body).into_iter().partition(|identity| id_of(identity) == wanted);
    for mut identity in gone {
        let mut user = Fields::new();
        if let Some(fields) = identity.as_object_mut()
            && let Some(Value::Object(profile)) = fields.shift_remove("profileData")
        {
            user.extend(profile);
        }
        for stamp in ["created_at", "updated_at"] {
            user.extend(body.get(stamp).map(|time| (stamp.to_owned(), time.clone())));
        }
        user.insert("user_id".into(), wanted.as_str().into());
        user.insert("identities".into(), json!([identity]));
        super::users::complete_profile(&mut user);
        store.put(USERS, &wanted, user, Fields::new());
    }
    body.insert("identities".into(), left.clone().into());
    let mut shown = left;
    profile(&mut shown, &body);
    store.put(USERS, own, body, hidden);
    Ok(Answer::new(200, shown.into()))
}

/// Tells of the first identity what its user says of themselves.
fn profile(identities: &mut [Value], user: &Fields) {
    let Some(Value::Object(first)) = identities.first_mut() else { return };
    let profile = PROFILE.iter().filter_map(|name| Some(((*name).to_owned(), user.get(*name)?.clone())));
    first.insert("profileData".into(), Value::Object(profile.collect()));
}

fn user(world: &World, store: &Store, values: &Fields) -> Result<Row, Problem> {
    world.row(store, USERS, text(values, "user_id")).cloned()
}

fn identities(user: &Fields) -> Vec<Value> {
    user.get("identities").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// The id that the identity's user has, or had.
fn id_of(identity: &Value) -> String {
    let own = match &identity["user_id"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!("{}|{own}", identity["provider"].as_str().unwrap_or_default())
}

fn text<'f>(fields: &'f Fields, name: &str) -> &'f str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}
