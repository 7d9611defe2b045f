//! Users: they live in connections, and what one may do depends on the connection's strategy.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Draft, Quirks, connections};
use crate::emulator::ids;
use crate::emulator::problem::Problem;
use crate::emulator::rules::Fields;
use crate::emulator::select;
use crate::emulator::store::{Row, Store};
use crate::emulator::world::{Request, World};

/// The table.
pub(in crate::emulator) const TABLE: &str = "user";

/// The exceptions of users.
pub(super) struct Users;

const DATABASE: &str = "auth0";
const EMAIL: &str = "email";
const SMS: &str = "sms";

/// Two of these cannot change in one call.
const APART: [[&str; 2]; 5] = [
    ["password", "email"],
    ["password", "email_verified"],
    ["username", "email"],
    ["username", "email_verified"],
    ["username", "password"],
];
/// What a login writes over where profiles come from elsewhere.
const SYNCED: [&str; 5] = ["family_name", "given_name", "name", "nickname", "picture"];

fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str)
}

fn no_connection() -> Problem {
    Problem::new(400, "The connection does not exist.", "inexistent_connection")
}

fn connection<'s>(store: &'s Store, name: &str) -> Option<&'s Row> {
    store.table(connections::TABLE).values().find(|row| row.text("name") == Some(name))
}

/// Name of the connection of a user's first identity.
fn home(user: &Fields) -> Option<&str> {
    user.get("identities")?.get(0)?.get("connection")?.as_str()
}

impl Quirks for Users {
    fn create(&self, _: &World, store: &Store, _: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let name = text(&draft.hidden, "connection").unwrap_or_default().to_owned();
        let connection = connection(store, &name).ok_or_else(no_connection)?;
        let strategy = connection.text("strategy").unwrap_or_default();
        // Elsewhere users come into being by logging in.
        if ![DATABASE, EMAIL, SMS].contains(&strategy) {
            return Err(Problem::body(
                "Connection does not support user creation through the API. It must either be a database or passwordless connection.",
            ));
        }
        let user = &mut draft.body;
        if strategy == DATABASE {
            check_login(connection, user, &name)?;
            let password = text(&draft.hidden, "password")
                .ok_or_else(|| Problem::payload("Missing required property: password", None))?;
            check_password(connection, password)?;
            // Database connections know no upper case.
            lower(user, "email");
            lower(user, "username");
        } else if strategy == SMS && !user.contains_key("phone_number") {
            return Err(Problem::payload("Missing required property: phone_number", None));
        } else if strategy == EMAIL && !user.contains_key("email") {
            return Err(Problem::payload("Missing required property: email", None));
        }
        let given = text(user, "user_id").map(|id| id.strip_prefix("auth0|").unwrap_or(id).to_owned());
        let own = given.unwrap_or_else(|| ids::hex(24));
        user.insert("user_id".into(), format!("{strategy}|{own}").into());
        let identity = json!({"connection": name, "user_id": own, "provider": strategy, "isSocial": false});
        user.insert("identities".into(), json!([identity]));
        if user.contains_key("email") {
            user.entry("email_verified").or_insert(false.into());
        }
        if user.contains_key("phone_number") {
            user.entry("phone_verified").or_insert(false.into());
        }
        complete_profile(user);
        let same =
            |field: &str| text(user, field).is_some_and(|value| taken(store, &name, field, value, None));
        let id = text(user, "user_id").unwrap_or_default();
        if ["email", "username", "phone_number"].into_iter().any(same) || store.get(TABLE, id).is_some() {
            return Err(Problem::new(409, "The user already exists.", "auth0_idp_error"));
        }
        Ok(())
    }

    fn judge(&self, _: &World, store: &Store, row: &Row, patch: &Fields) -> Result<(), Problem> {
        if let Some([one, other]) =
            APART.into_iter().find(|pair| pair.iter().all(|name| patch.contains_key(*name)))
        {
            return Err(Problem::body(format!("Cannot update {one} and {other} simultaneously")));
        }
        let own = home(&row.body);
        if let Some(asked) = text(patch, "connection") {
            let identities = row.body.get("identities").and_then(Value::as_array).into_iter().flatten();
            let has =
                identities.filter_map(|identity| identity["connection"].as_str()).any(|name| name == asked);
            if !has || connection(store, asked).is_none() {
                return Err(no_connection());
            }
        }
        let name = text(patch, "connection").or(own).unwrap_or_default();
        // A user that was preloaded without its connection is taken for one of a database.
        let home = connection(store, name);
        let strategy = home.and_then(|row| row.text("strategy")).unwrap_or(DATABASE);
        if strategy != DATABASE && strategy != EMAIL && patch.contains_key("email") {
            return Err(Problem::new(
                400,
                "Cannot update email for non-database user.",
                "operation_not_supported",
            ));
        }
        if strategy != DATABASE && (patch.contains_key("password") || patch.contains_key("username")) {
            let what = "The specified connection does not support this operation.";
            return Err(Problem::new(400, what, "operation_not_supported"));
        }
        if ![DATABASE, EMAIL, SMS].contains(&strategy) {
            if patch.contains_key("email_verified") {
                let what = "Email verification is not supported for enterprise users.";
                return Err(Problem::new(400, what, "operation_not_supported"));
            }
            let synced: Vec<&str> = SYNCED.into_iter().filter(|name| patch.contains_key(*name)).collect();
            if !synced.is_empty() {
                let what = format!(
                    "The following user attributes cannot be updated: {}. The connection must either be a database connection (using the Auth0 store), a passwordless connection (email or sms) or has disabled 'Sync user profile attributes at each login'.",
                    synced.join(", "),
                );
                return Err(Problem::new(400, what, "operation_not_supported"));
            }
        }
        if let Some(home) = home.filter(|_| text(patch, "username").is_some()) {
            takes_username(home)?;
        }
        if let (Some(home), Some(password)) = (home, text(patch, "password")) {
            check_password(home, password)?;
        }
        let id = row.text("user_id");
        for (field, word) in [("email", "email"), ("username", "username"), ("phone_number", "phone number")]
        {
            if let Some(value) = text(patch, field)
                && taken(store, name, field, value, id)
            {
                return Err(Problem::new(
                    400,
                    format!("The specified new {word} already exists"),
                    "auth0_idp_error",
                ));
            }
        }
        Ok(())
    }

    fn update(
        &self,
        store: &Store,
        request: &Request,
        old: &Row,
        patch: &Fields,
        draft: &mut Draft,
    ) -> Result<(), Problem> {
        let database = home(&draft.body)
            .and_then(|name| connection(store, name))
            .is_none_or(|home| home.text("strategy") == Some(DATABASE));
        if database {
            lower(&mut draft.body, "email");
            lower(&mut draft.body, "username");
        }
        // A new address has not been verified yet.
        let moved = text(&draft.body, "email").is_some_and(|email| old.text("email") != Some(email));
        if moved && !patch.contains_key("email_verified") {
            draft.body.insert("email_verified".into(), false.into());
        }
        if patch.contains_key("password") {
            draft.body.insert("last_password_reset".into(), ids::time(request.now).into());
            // Setting a password lifts an administrator's block.
            if draft.body.get("blocked") == Some(&Value::Bool(true)) && !patch.contains_key("blocked") {
                draft.body.insert("blocked".into(), false.into());
            }
        }
        Ok(())
    }
}

/// Whether another user of the connection has the value.
fn taken(store: &Store, connection: &str, field: &str, value: &str, own: Option<&str>) -> bool {
    let mut others = select::named(store, TABLE, field, value);
    others.any(|(_, row)| row.text("user_id") != own && home(&row.body) == Some(connection))
}

fn lower(user: &mut Fields, field: &str) {
    if let Some(Value::String(text)) = user.get_mut(field) {
        *text = text.to_lowercase();
    }
}

fn option<'a>(connection: &'a Row, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(connection.body.get("options")?, |value, name| value.get(name))
}

fn takes_username(connection: &Row) -> Result<bool, Problem> {
    let required = option(connection, &["requires_username"]) == Some(&Value::Bool(true));
    if !required && option(connection, &["attributes", "username"]).is_none() {
        return Err(Problem::body("Cannot set username for connection without requires_username"));
    }
    Ok(required)
}

/// E-mail and username as the connection asks for them.
fn check_login(connection: &Row, user: &Fields, name: &str) -> Result<(), Problem> {
    if user.contains_key("username") {
        takes_username(connection)?;
    } else if option(connection, &["requires_username"]) == Some(&Value::Bool(true)) {
        return Err(Problem::body(format!(
            "Missing username for {name} connection with requires_username enabled"
        )));
    }
    // With flexible identifiers another identifier can stand for the e-mail address.
    let flexible = option(connection, &["attributes"]).is_some()
        && ["username", "phone_number"].into_iter().any(|identifier| user.contains_key(identifier));
    if !user.contains_key("email") && !flexible {
        return Err(Problem::payload("Missing required property: email", None));
    }
    Ok(())
}

/// The length that the connection's password policy asks for; its other rules are not kept.
fn check_password(connection: &Row, password: &str) -> Result<(), Problem> {
    let least = match option(connection, &["passwordPolicy"]).and_then(Value::as_str) {
        Some("excellent") => 10,
        Some("good" | "fair") => 8,
        Some("low") => 6,
        _ => 1,
    };
    if password.chars().count() < least {
        return Err(Problem::plain(400, "PasswordStrengthError: Password is too weak"));
    }
    Ok(())
}

/// Name, nickname and picture, which Auth0 makes from the login name where they are not given.
pub(super) fn complete_profile(user: &mut Fields) {
    let login = ["email", "phone_number", "username"].into_iter().find_map(|name| text(user, name));
    let Some(login) = login.map(str::to_owned) else { return };
    let nickname = login.split('@').next().unwrap_or(&login).to_owned();
    let initials: String = login.chars().take(2).collect::<String>().to_lowercase();
    // Auth0 hashes with MD5 here; any 32 digits serve, and a better hash is at hand.
    let digest: String = Sha256::digest(&login).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let picture = format!(
        "https://s.gravatar.com/avatar/{digest}?s=480&r=pg&d=https%3A%2F%2Fcdn.auth0.com%2Favatars%2F{initials}.png"
    );
    for (field, value) in [("name", login), ("nickname", nickname), ("picture", picture)] {
        user.entry(field).or_insert_with(|| value.into());
    }
}
