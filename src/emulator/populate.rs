//! Fills a fresh tenant: what every tenant has, and, where asked, users with organizations, roles
//! and applications. The same number of users always gives the same tenant.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::ids;
use super::keys::own_key;
use super::options::Credentials;
use super::quirks::people;
use super::rules::{Fields, Rules};
use super::store::Store;
use super::template::Context;
use super::world::World;
use super::writes::complete;
use crate::catalog::{NewKey, Resource, ResourceKind};
use crate::error::Result;

/// Ids of a fresh tenant's rows are the same everywhere.
const SEED: u64 = 0;
/// When a fresh tenant came into being, in UNIX seconds: the same everywhere too.
const BORN: i64 = 1_690_000_000;

/// Puts what every tenant has into an empty one.
///
/// # Errors
/// `internal`: the catalogue lacks a table.
pub(super) fn fresh(world: &World, store: &mut Store, tenant: &str, client: &Credentials) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(SEED);
    for resource in world.catalog.iter().filter(|resource| resource.kind.is_read()) {
        let shape = world.table(&resource.table)?;
        for row in &shape.1.fresh {
            insert(store, shape, (named(row, tenant, client), tenant), &mut rng);
        }
    }
    Ok(())
}

/// Adds `count` users, the rows that they link to, and the links.
///
/// # Errors
/// `internal`: the catalogue lacks a table.
pub(super) fn people(
    world: &World,
    store: &mut Store,
    tenant: &str,
    client: &Credentials,
    count: usize,
) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(count as u64);
    for resource in world.catalog.iter() {
        let shape = world.table(&resource.table)?;
        for row in &shape.1.sample {
            insert(store, shape, (named(row, tenant, client), tenant), &mut rng);
        }
    }
    let users = world.table(people::TABLE)?;
    let keys: Vec<String> = (0..count)
        .filter_map(|number| insert(store, users, (people::one(number, &mut rng), tenant), &mut rng))
        .collect();
    for resource in world.catalog.iter().filter(|resource| resource.kind == ResourceKind::Association) {
        let shape = world.table(&resource.table)?;
        let Some(every) = shape.1.sample_every.filter(|every| *every > 0) else { continue };
        let side = |table: bool| {
            let mut columns = resource
                .key
                .iter()
                .filter_map(|column| Some((column, resource.columns.get(column)?.references.as_deref()?)));
            columns.find(|(_, references)| (*references == people::TABLE) == table)
        };
        let (Some((user, _)), Some((other, table))) = (side(true), side(false)) else { continue };
        let others: Vec<String> = store.table(table).keys().cloned().collect();
        for (number, key) in keys.iter().enumerate().step_by(every) {
            let Some(far) = others.get(number / every % others.len().max(1)) else { continue };
            let ends = [(user, key), (other, far)];
            let link = resource.key.iter().filter_map(|column| {
                let (_, key) = ends.iter().find(|(name, _)| *name == column)?;
                Some((column.clone(), key.as_str().into()))
            });
            insert(store, shape, (link.collect(), tenant), &mut rng);
        }
    }
    Ok(())
}

/// A row of the catalogue with the names of this tenant in it; a template.
fn named(row: &Fields, tenant: &str, client: &Credentials) -> Fields {
    let (own, mut row): (Fields, Fields) = row
        .clone()
        .into_iter()
        .partition(|(_, value)| value.as_str().is_none_or(|text| !text.starts_with("$client_")));
    let now = chrono::DateTime::from_timestamp(BORN, 0).unwrap_or_default();
    row.extend(Context { tenant, host: tenant, now, ..Context::default() }.fields(&own));
    for value in row.values_mut() {
        match value.as_str() {
            Some("$client_id") => *value = client.id.as_str().into(),
            Some("$client_secret") => *value = client.secret.as_str().into(),
            _ => {}
        }
    }
    row
}

/// Completes and stores a row; its key. Key columns of a parent are given with the fields.
fn insert(
    store: &mut Store,
    shape: (&Resource, &Rules),
    (row, tenant): (Fields, &str),
    rng: &mut StdRng,
) -> Option<String> {
    let (resource, rules) = shape;
    let linked = resource.kind == ResourceKind::Association;
    let apart = |column: &String| {
        let parent = resource.columns.get(column).is_some_and(|column| column.references.is_some());
        resource.key.contains(column) && (linked || parent && !rules.shown_keys.contains(column))
    };
    let (values, mut body): (Fields, Fields) = row.into_iter().partition(|(name, _)| apart(name));
    if let (Some(key), Some(shape)) = (resource.key.last(), &rules.id)
        && matches!(resource.new_key, NewKey::Server | NewKey::Client { .. })
    {
        body.entry(resource.field(key)).or_insert_with(|| ids::shaped_by(rng, shape).into());
    }
    complete(shape, &mut body, &Context { tenant, host: tenant, ..Context::default() });
    let key = own_key(resource, &values, &body)?;
    store.put(&resource.table, &key, body, Fields::new());
    Some(key)
}
