//! Fills a fresh tenant: what every tenant has, and, where asked, users with organizations, roles
//! and applications. The same number of users always gives the same tenant.

use std::cell::RefCell;

use chrono::DateTime;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::keys::own_key;
use super::options::Credentials;
use super::quirks::people;
use super::rules::{Fields, Rules};
use super::store::Store;
use super::template::Context;
use super::world::World;
use super::writes::complete;
use crate::catalog::{Resource, ResourceKind};
use crate::error::Result;

/// Ids of a fresh tenant's rows are the same everywhere.
const SEED: u64 = 0;
/// When a fresh tenant came into being, in UNIX seconds: the same everywhere too.
const BORN: i64 = 1_690_000_000;

/// What a tenant is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    pub(super) tenant: &'a str,
    pub(super) host: &'a str,
    /// Its machine-to-machine client.
    pub(super) client: &'a Credentials,
}

/// Puts what every tenant has into an empty one.
///
/// # Errors
/// `internal`: the catalogue lacks a table.
pub(super) fn fresh(world: &World, store: &mut Store, names: &Names) -> Result<()> {
    let rng = RefCell::new(StdRng::seed_from_u64(SEED));
    for resource in world.catalog.iter().filter(|resource| resource.kind.is_read()) {
        let shape = world.table(&resource.table)?;
        for row in &shape.1.fresh {
            insert(store, shape, row, names, &rng);
        }
    }
    Ok(())
}

/// Adds `count` users, the rows that they link to, and the links.
///
/// # Errors
/// `internal`: the catalogue lacks a table.
pub(super) fn people(world: &World, store: &mut Store, names: &Names, count: usize) -> Result<()> {
    let rng = RefCell::new(StdRng::seed_from_u64(count as u64));
    for resource in world.catalog.iter() {
        let shape = world.table(&resource.table)?;
        for row in &shape.1.sample {
            insert(store, shape, row, names, &rng);
        }
    }
    let context = context(names, &rng);
    let users = world.table(people::TABLE)?;
    let keys: Vec<String> = (0..count)
        .filter_map(|number| {
            let user = people::one(number, &mut rng.borrow_mut());
            place(store, users, user, &context)
        })
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
            place(store, shape, link.collect(), &context);
        }
    }
    Ok(())
}

/// Completes and stores a row, a template; its key. Key columns of a parent are given with the fields.
fn insert(
    store: &mut Store,
    shape: (&Resource, &Rules),
    row: &Fields,
    names: &Names,
    rng: &RefCell<StdRng>,
) -> Option<String> {
    let context = context(names, rng);
    place(store, shape, context.fields(row), &context)
}

fn context<'a>(names: &Names<'a>, rng: &'a RefCell<StdRng>) -> Context<'a> {
    let now = DateTime::from_timestamp(BORN, 0).unwrap_or_default();
    let Names { tenant, host, client } = *names;
    Context { tenant, host, client: Some(client), now, rng: Some(rng), ..Context::default() }
}

/// The same of a row that is no template.
fn place(
    store: &mut Store,
    (resource, rules): (&Resource, &Rules),
    row: Fields,
    context: &Context,
) -> Option<String> {
    let linked = resource.kind == ResourceKind::Association;
    let apart = |column: &String| {
        resource.key.contains(column) && {
            let parent = resource.columns.get(column).is_some_and(|column| column.references.is_some());
            linked || parent && !rules.shown_keys.contains(column)
        }
    };
    let (values, mut body): (Fields, Fields) = row.into_iter().partition(|(name, _)| apart(name));
    complete((resource, rules), &mut body, context);
    let key = own_key(resource, &values, &body)?;
    store.put(&resource.table, &key, body, Fields::new());
    Some(key)
}
