//! What one request sees: the catalogue with its rules, the store, and the request itself.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::exports::Exports;
use super::faults::JobFault;
use super::index::Indexed;
use super::keys;
use super::options::Options;
use super::problem::Problem;
use super::routes::Routes;
use super::rules::{Fields, Rules};
use super::store::{Row, Store};
use super::token::Claims;
use crate::catalog::{Catalog, ColumnType, Limits, Plan, Resource};
use crate::error::{Error, Kind, Result};

/// What never changes while the emulator runs.
#[derive(Debug)]
pub(super) struct World {
    /// Shapes of the resources.
    pub(super) catalog: Catalog,
    /// What the emulator alone knows of them, by table.
    pub(super) rules: HashMap<String, Rules>,
    /// Every call.
    pub(super) routes: Routes,
    /// Whether offset paging ends where Auth0 ends it.
    pub(super) result_cap: bool,
    /// The subscription; none has everything.
    pub(super) plan: Option<Plan>,
    /// Groups of calls that have limits of their own.
    pub(super) limits: Limits,
    /// Features that the tenant lacks, whatever its plan.
    pub(super) without: HashSet<String>,
    /// How long building an action takes.
    pub(super) action_build: Duration,
    /// Files of jobs.
    pub(super) exports: Exports,
    /// Rings when there are users to import.
    pub(super) imports: Notify,
}

/// What a call reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    /// What never changes.
    pub(super) world: &'a World,
    /// The rows.
    pub(super) store: &'a Store,
    /// The request.
    pub(super) request: &'a Request,
}

/// One request to the Management API.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// HTTP method in capitals.
    pub(super) method: String,
    /// Path below `/api/v2`, percent-encoded.
    pub(super) path: String,
    /// Query parameters in order.
    pub(super) query: Vec<(String, String)>,
    /// JSON body; none and a literal `null` are the same.
    pub(super) body: Option<Value>,
    /// Who asks.
    pub(super) claims: Claims,
    /// Host of the tenant, as URLs in answers name it.
    pub(super) host: String,
    /// Name of the tenant.
    pub(super) tenant: String,
    /// `X-Correlation-ID`.
    pub(super) correlation: Option<String>,
    /// `User-Agent`.
    pub(super) agent: String,
    /// Address of the caller.
    pub(super) ip: String,
    /// When it came.
    pub(super) now: DateTime<Utc>,
    /// What goes wrong with the job that it starts.
    pub(super) job_fault: Option<JobFault>,
}

impl Request {
    /// The first value of a query parameter.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a query parameter is `true`.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.param(name) == Some("true")
    }

    /// The body as an object.
    ///
    /// # Errors
    /// Auth0's refusal of anything else.
    pub(super) fn object(&self) -> Result<Fields, Problem> {
        match &self.body {
            Some(Value::Object(fields)) => Ok(fields.clone()),
            None => Ok(Fields::new()),
            Some(other) => {
                let what = format!("Expected type object but found type {}", super::schema::type_name(other));
                Err(Problem::payload(&what, None))
            }
        }
    }
}

impl World {
    /// The world of a catalogue; links are signed with `key`.
    ///
    /// # Errors
    /// `catalog`: an `[emulator]` table is wrong; `config`: there is no such plan; `io`: the folder for
    /// exports cannot be made.
    pub(super) fn new(catalog: Catalog, options: &Options, key: &str) -> Result<World> {
        let rules = catalog
            .iter()
            .map(|resource| Ok((resource.table.clone(), Rules::of(resource)?)))
            .collect::<Result<HashMap<_, _>>>()?;
        let routes = Routes::new(&catalog, &rules);
        let limits = Limits::load()?;
        let plan = options.plan.as_deref().map(|name| limits.plan(name).cloned()).transpose()?;
        let without = options.without.iter().cloned().collect();
        let exports = Exports::new(options, key)?;
        let (result_cap, action_build) = (options.result_cap, options.action_build);
        Ok(World {
            catalog,
            rules,
            routes,
            result_cap,
            plan,
            limits,
            without,
            action_build,
            exports,
            imports: Notify::new(),
        })
    }

    /// What tables have indexes of: the parts of their keys, and the fields that their rules name.
    pub(super) fn indexes(&self) -> HashMap<String, Vec<Indexed>> {
        let of = |resource: &Resource, rules: &Rules| {
            let parts = if resource.key.len() > 1 { resource.key.len() } else { 0 };
            let fields = rules.indexed.iter().map(|field| {
                let time =
                    resource.columns.get(field).map(|column| column.kind) == Some(ColumnType::Timestamptz);
                if time { Indexed::Moment(field.clone()) } else { Indexed::Text(field.clone()) }
            });
            (0..parts).map(Indexed::Part).chain(fields).collect()
        };
        let tables =
            self.catalog.iter().filter_map(|resource| Some((resource, self.rules.get(&resource.table)?)));
        tables.map(|(resource, rules)| (resource.table.clone(), of(resource, rules))).collect()
    }

    /// Whether the tenant's plan is one of these, by its own name or that of the plan that it is like.
    pub(super) fn is_planned(&self, plans: &[String]) -> Option<bool> {
        let plan = self.plan.as_ref()?;
        Some(plans.iter().any(|name| *name == plan.name || plan.like.as_ref() == Some(name)))
    }

    /// Shape and rules of a table.
    ///
    /// # Errors
    /// `internal`: no such table.
    pub(super) fn table(&self, table: &str) -> Result<(&Resource, &Rules)> {
        let resource = self.catalog.resource(table)?;
        let rules = self.rules.get(table);
        rules
            .map(|rules| (resource, rules))
            .ok_or_else(|| Error::new(Kind::Internal, "a table without rules"))
    }

    /// Shape and rules of a table that may not be described.
    pub(super) fn shape(&self, table: &str) -> Option<(&Resource, &Rules)> {
        Some((self.catalog.get(table)?, self.rules.get(table)?))
    }

    /// The row with this key, or Auth0's refusal.
    ///
    /// # Errors
    /// The resource's 404.
    pub(super) fn row<'s>(&self, store: &'s Store, table: &str, key: &str) -> Result<&'s Row, Problem> {
        store.get(table, key).ok_or_else(|| self.missing(table, key))
    }

    /// The refusal where a table has no row with this key.
    pub(super) fn missing(&self, table: &str, key: &str) -> Problem {
        let refusal = self.rules.get(table).and_then(|rules| rules.missing.as_ref());
        let mut values = Map::from_iter([("key".to_owned(), Value::from(key))]);
        if let Some(resource) = self.catalog.get(table) {
            values.extend(keys::columns(resource, key));
        }
        refusal.map_or_else(|| Problem::plain(404, "Not Found"), |refusal| Problem::refusal(refusal, &values))
    }
}
