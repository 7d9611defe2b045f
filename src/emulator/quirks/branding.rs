//! Branding: the page around the login widget is sent as the page itself or inside an object, and
//! the first write answers otherwise than later ones; deleting a theme that is not there has a text
//! of its own.

use serde_json::Value;

use super::Quirks;
use crate::emulator::keys::{SINGLE, path_key};
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::routes::Route;
use crate::emulator::rules::Fields;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, Scene, World};

/// The table of the page.
pub(in crate::emulator) const PAGE: &str = "branding_universal_login_template";
/// The table of themes.
pub(in crate::emulator) const THEME: &str = "branding_theme";

/// The table of phone providers.
pub(in crate::emulator) const PHONE_PROVIDER: &str = "branding_phone_provider";

/// Phone providers: lists say that there are credentials, and not which.
pub(super) struct PhoneProviders;

impl Quirks for PhoneProviders {
    fn list(&self, scene: Scene, _: &Fields) -> Option<Result<Vec<Fields>, Problem>> {
        let rows = scene.store.table(PHONE_PROVIDER).values().map(|row| {
            let mut fields = row.body.clone();
            fields.insert("credentials".into(), Value::Null);
            fields
        });
        Some(Ok(rows.collect()))
    }
}

/// The exceptions of the page.
pub(super) struct Page;

impl Quirks for Page {
    fn call(
        &self,
        _: &World,
        store: &mut Store,
        request: &Request,
        _: &Route,
        _: &Fields,
    ) -> Option<Result<Answer, Problem>> {
        if request.method != "PUT" {
            return None;
        }
        let page = match &request.body {
            Some(Value::String(page)) => page.clone(),
            Some(body) if body["template"].is_string() => body["template"].as_str()?.to_owned(),
            _ => return Some(Err(Problem::payload("Missing required property: template", None))),
        };
        if !["auth0:head", "auth0:widget"].iter().all(|tag| page.contains(tag)) {
            let what = "Payload content missing required Liquid tags (auth0:head and auth0:widget).";
            return Some(Err(Problem::body(what)));
        }
        let new = store.get(PAGE, SINGLE).is_none();
        store.put(PAGE, SINGLE, Fields::from_iter([("body".to_owned(), page.into())]), Fields::new());
        Some(Ok(if new { Answer::new(201, Value::Object(Fields::new())) } else { Answer::empty(204) }))
    }
}

/// The exceptions of themes.
pub(super) struct Theme;

impl Quirks for Theme {
    fn call(
        &self,
        world: &World,
        store: &mut Store,
        request: &Request,
        _: &Route,
        values: &Fields,
    ) -> Option<Result<Answer, Problem>> {
        let verb = match request.method.as_str() {
            "DELETE" => "deleting",
            "PATCH" => "updating",
            _ => return None,
        };
        let key = path_key(world.catalog.get(THEME)?, values);
        let what = format!("There was an error {verb} branding settings: invalid theme ID");
        store.get(THEME, &key).is_none().then(|| Err(Problem::new(404, what, "theme_not_found")))
    }
}
