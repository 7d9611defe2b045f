//! Effective roles and permissions: Auth0 works them out of what a user has directly, by groups and
//! by roles.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Quirks;
use crate::emulator::keys;
use crate::emulator::problem::Problem;
use crate::emulator::rules::Fields;
use crate::emulator::store::Store;
use crate::emulator::world::{Scene, World};

pub(super) const ROLES: &str = "user_effective_role";
pub(super) const ROLE_GROUPS: &str = "user_effective_role_source_group";
pub(super) const PERMISSIONS: &str = "user_effective_permission";
pub(super) const PERMISSION_ROLES: &str = "user_effective_permission_source_role";
pub(super) const MEMBER_ROLES: &str = "organization_member_effective_role";
pub(super) const MEMBER_ROLE_GROUPS: &str = "organization_member_effective_role_source_group";
pub(super) const USER_GROUPS: &str = "user_group";
pub(super) const ORGANIZATION_GROUPS: &str = "organization_group";

/// How a user came by a role: directly, and by these groups.
#[derive(Default)]
struct Sources {
    direct: bool,
    groups: Vec<String>,
}

impl Sources {
    fn names(&self) -> Value {
        let names = [(self.direct, "direct"), (!self.groups.is_empty(), "groups")];
        names.into_iter().filter(|(there, _)| *there).map(|(_, name)| name).collect()
    }
}

/// The table that is worked out.
pub(super) struct Effective(pub(super) &'static str);

impl Quirks for Effective {
    fn list(&self, scene: Scene, values: &Fields) -> Option<Result<Vec<Fields>, Problem>> {
        let store = scene.store;
        let user = text(values, "user_id");
        let organization = values.get("organization_id").and_then(Value::as_str);
        let role = text(values, "role_id");
        let items = match self.0 {
            ROLES | MEMBER_ROLES => roles(scene, &effective_roles(scene.world, store, organization, user)),
            ROLE_GROUPS | MEMBER_ROLE_GROUPS => {
                let found = effective_roles(scene.world, store, organization, user);
                groups(store, found.get(role).map_or(&[][..], |sources| &sources.groups))
            }
            PERMISSIONS => permissions(scene, user, text(values, "resource_server_identifier")),
            PERMISSION_ROLES => {
                let mut found = effective_roles(scene.world, store, None, user);
                let wanted = ["resource_server_identifier", "permission_name"].map(|name| text(values, name));
                found.retain(|role, _| {
                    store.get("role_permission", &keys::key_of([role, wanted[0], wanted[1]])).is_some()
                });
                roles(scene, &found)
            }
            USER_GROUPS => groups(store, &groups_of(scene.world, store, user)),
            _ => groups(store, &with_roles(scene.world, store, organization.unwrap_or_default())),
        };
        Some(Ok(items))
    }
}

/// The roles of a user, in an organization or in the tenant.
fn effective_roles(
    world: &World,
    store: &Store,
    organization: Option<&str>,
    user: &str,
) -> BTreeMap<String, Sources> {
    let mut found: BTreeMap<String, Sources> = BTreeMap::new();
    let direct = match organization {
        Some(organization) => links(
            world,
            store,
            "organization_member_role",
            &[("organization_id", organization), ("user_id", user)],
        ),
        None => links(world, store, "user_role", &[("user_id", user)]),
    };
    for link in direct {
        found.entry(text(&link, "role_id").to_owned()).or_default().direct = true;
    }
    for group in groups_of(world, store, user) {
        let given = match organization {
            Some(organization) => links(
                world,
                store,
                "organization_group_role",
                &[("organization_id", organization), ("group_id", &group)],
            ),
            None => links(world, store, "group_role", &[("group_id", &group)]),
        };
        for link in given {
            found.entry(text(&link, "role_id").to_owned()).or_default().groups.push(group.clone());
        }
    }
    found
}

fn groups_of(world: &World, store: &Store, user: &str) -> Vec<String> {
    let links = links(world, store, "group_member", &[("id", user)]);
    links.iter().map(|link| text(link, "group_id").to_owned()).collect()
}

/// Groups that have a role in an organization.
fn with_roles(world: &World, store: &Store, organization: &str) -> Vec<String> {
    let links = links(world, store, "organization_group_role", &[("organization_id", organization)]);
    let mut groups: Vec<String> = links.iter().map(|link| text(link, "group_id").to_owned()).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn permissions(scene: Scene, user: &str, api: &str) -> Vec<Fields> {
    let store = scene.store;
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for link in links(
        scene.world,
        store,
        "user_permission",
        &[("user_id", user), ("resource_server_identifier", api)],
    ) {
        found.entry(text(&link, "permission_name").to_owned()).or_default().push("direct");
    }
    for role in effective_roles(scene.world, store, None, user).keys() {
        for link in links(
            scene.world,
            store,
            "role_permission",
            &[("role_id", role), ("resource_server_identifier", api)],
        ) {
            let sources = found.entry(text(&link, "permission_name").to_owned()).or_default();
            if !sources.contains(&"roles") {
                sources.push("roles");
            }
        }
    }
    let server = store.table("resource_server").values().find(|row| row.text("identifier") == Some(api));
    let shown = found.into_iter().map(|(name, sources)| {
        let scopes = server.and_then(|row| row.body.get("scopes")?.as_array());
        let scope = scopes.into_iter().flatten().find(|scope| scope["value"] == name.as_str());
        let item = json!({
            "resource_server_identifier": api,
            "permission_name": name,
            "resource_server_name": server.and_then(|row| row.text("name")),
            "description": scope.map(|scope| scope["description"].clone()),
            "sources": sources,
        });
        item.as_object().cloned().unwrap_or_default()
    });
    shown.collect()
}

fn roles(scene: Scene, found: &BTreeMap<String, Sources>) -> Vec<Fields> {
    let shown = found.iter().filter_map(|(id, sources)| {
        let mut role = scene.store.get("role", id)?.body.clone();
        role.insert("sources".into(), sources.names());
        Some(role)
    });
    shown.collect()
}

fn groups(store: &Store, ids: &[String]) -> Vec<Fields> {
    ids.iter().filter_map(|id| Some(store.get("group", id)?.body.clone())).collect()
}

/// The key columns of the rows of a table that have these values.
fn links(world: &World, store: &Store, table: &str, wanted: &[(&str, &str)]) -> Vec<Fields> {
    let Some((resource, _)) = world.shape(table) else { return Vec::new() };
    let rows = store.table(table).keys().map(|key| keys::columns(resource, key));
    rows.filter(|row| wanted.iter().all(|(name, value)| text(row, name) == *value)).collect()
}

fn text<'f>(fields: &'f Fields, name: &str) -> &'f str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}
