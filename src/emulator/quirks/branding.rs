//! Branding: what the page around the login widget must hold, what lists of phone providers say of
//! credentials, and the texts where a theme is not there.

use serde_json::Value;

use super::{Draft, Quirks};
use crate::emulator::calls::Incoming;
use crate::emulator::keys::path_key;
use crate::emulator::problem::{Answer, Problem};
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
    fn finish(&self, _: &World, _: &Store, _: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let page = draft.body.get("body").and_then(Value::as_str).unwrap_or_default();
        if ["auth0:head", "auth0:widget"].iter().all(|tag| page.contains(tag)) {
            return Ok(());
        }
        Err(Problem::body("Payload content missing required Liquid tags (auth0:head and auth0:widget)."))
    }
}

/// The exceptions of themes.
pub(super) struct Theme;

impl Quirks for Theme {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, values, .. }: Incoming,
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
