//! Authentication methods: their ids tell the kind, reading masks where codes go, a phone has one
//! way of being asked for each kind of code, and a PUT replaces all that a user has.

use serde_json::{Value, json};

use super::{Draft, Quirks};
use crate::emulator::calls::Incoming;
use crate::emulator::ids;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::rules::Fields;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, Scene, World};

pub(super) const TABLE: &str = "user_authentication_method";
const USER: &str = "user_id";

pub(super) struct Enrolments;

impl Quirks for Enrolments {
    fn create(&self, _: &World, _: &Store, _: &Request, draft: &mut Draft) -> Result<(), Problem> {
        complete(&mut draft.body);
        Ok(())
    }

    fn list(&self, scene: Scene, values: &Fields) -> Option<Result<Vec<Fields>, Problem>> {
        let user = values.get(USER).and_then(Value::as_str).unwrap_or_default();
        if let Err(problem) = scene.world.row(scene.store, super::users::TABLE, user) {
            return Some(Err(problem));
        }
        let rows = of_user(scene.store, user).map(|(_, row)| shown(row.body.clone()));
        Some(Ok(rows.collect()))
    }

    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, route, values }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let user = values.get(USER).and_then(Value::as_str).unwrap_or_default();
        match (route.method.as_str(), values.get("id").and_then(Value::as_str)) {
            ("GET", Some(id)) => {
                let key = key(user, id);
                let row = match world.row(store, TABLE, &key) {
                    Ok(row) => row,
                    Err(problem) => return Some(Err(problem)),
                };
                Some(Ok(Answer::new(200, Value::Object(shown(row.body.clone())))))
            }
            ("PUT", None) => Some(replace(world, store, request, user)),
            _ => None,
        }
    }

    fn after(&self, _: &mut Store, _: Incoming, answer: &mut Answer) {
        if let Some(Value::Object(fields)) = &mut answer.body {
            mask(fields);
        }
    }
}

fn replace(world: &World, store: &mut Store, request: &Request, user: &str) -> Result<Answer, Problem> {
    world.row(store, super::users::TABLE, user)?;
    let sent = request
        .body
        .as_ref()
        .and_then(Value::as_array)
        .ok_or_else(|| Problem::payload("Expected type array but found another one", None))?;
    let old: Vec<String> = of_user(store, user).map(|(key, _)| key.clone()).collect();
    for key in old {
        store.remove(TABLE, &key);
    }
    let mut made = Vec::new();
    for item in sent.iter().filter_map(Value::as_object) {
        let mut body = item.clone();
        body.shift_remove("totp_secret");
        complete(&mut body);
        body.insert("created_at".into(), ids::time(request.now).into());
        let id = body.get("id").and_then(Value::as_str).unwrap_or_default();
        store.put(TABLE, &key(user, id), body.clone(), Fields::new());
        made.push(Value::Object(body));
    }
    Ok(Answer::new(200, made.into()))
}

fn complete(body: &mut Fields) {
    let kind = body.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let device = format!("dev_{}", ids::word(16));
    body.entry("id").or_insert_with(|| format!("{kind}|{device}").into());
    if kind == "phone" {
        let way = match body.get("preferred_authentication_method").and_then(Value::as_str) {
            Some("voice") => "voice",
            _ => "sms",
        };
        body.entry("preferred_authentication_method").or_insert_with(|| way.into());
        body.entry("authentication_methods")
            .or_insert_with(|| json!([{ "id": format!("{way}|{device}"), "type": way }]));
    }
}

fn shown(mut body: Fields) -> Fields {
    body.entry("confirmed").or_insert(true.into());
    mask(&mut body);
    body
}

/// `chuck@example.com` becomes `chuc****@exam*******`, and of a number the last four digits stay.
fn mask(body: &mut Fields) {
    if let Some(Value::String(email)) = body.get_mut("email")
        && let Some((name, domain)) = email.split_once('@')
    {
        let kept = name.chars().count().saturating_sub(4).min(4);
        let name: String = name.chars().take(kept).collect();
        let length = domain.chars().count();
        let domain: String =
            domain.chars().take(4).chain("*".repeat(length.saturating_sub(4)).chars()).collect();
        *email = format!("{name}****@{domain}");
    }
    if let Some(Value::String(number)) = body.get_mut("phone_number") {
        let length = number.chars().count();
        let last: String = number.chars().skip(length.saturating_sub(4)).collect();
        *number = format!("{}{last}", "X".repeat(length.saturating_sub(4)));
    }
}

fn of_user<'s>(
    store: &'s Store,
    user: &'s str,
) -> impl Iterator<Item = (&'s String, &'s crate::emulator::store::Row)> + 's {
    store.table(TABLE).iter().filter(move |(own, _)| own.starts_with(&key(user, "")))
}

fn key(user: &str, id: &str) -> String {
    crate::emulator::keys::key_of([user, id])
}
