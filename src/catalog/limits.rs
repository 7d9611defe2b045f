//! Auth0's rate limits by plan, read from `limits.toml`: which bucket a call takes from, and how fast
//! that fills. It only tells the published figures; whoever counts tokens does that elsewhere.

use std::path::Path;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, de};

use crate::error::{Error, Kind, Result};

const BUNDLED: &str = include_str!("../../catalog/limits.toml");
const FILE: &str = "limits.toml";

/// The bucket of all calls of a tenant.
pub const WHOLE: &str = "whole";
/// The bucket of the calls that have no other, in plans without a figure for the whole.
pub const REST: &str = "rest";

/// A bucket of `burst` tokens, of which `count` come back in `unit`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// The most tokens in it.
    pub burst: u32,
    /// Tokens that come back in a unit.
    pub count: u32,
    /// Second, minute or day.
    pub unit: Duration,
}

impl Rate {
    /// Tokens that come back in a second.
    pub fn per_second(self) -> f64 {
        f64::from(self.count) / self.unit.as_secs_f64()
    }
}

/// `5, 50/minute`
impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        let read = || {
            let (burst, rate) = text.split_once(',')?;
            let (count, unit) = rate.split_once('/')?;
            let seconds = match unit.trim() {
                "second" => 1,
                "minute" => 60,
                "hour" => 3_600,
                "day" => 86_400,
                _ => return None,
            };
            let (burst, count) = (burst.trim().parse().ok()?, count.trim().parse().ok()?);
            (burst > 0 && count > 0).then_some(Rate { burst, count, unit: Duration::from_secs(seconds) })
        };
        read().ok_or_else(|| format!("{text} is no rate like \"5, 50/minute\""))
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// The limits of one subscription.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its name.
    #[serde(skip)]
    pub name: String,
    /// Another name that it goes by.
    also: Option<String>,
    /// The plan that has the same features, and the same groups where this one names none.
    pub like: Option<String>,
    /// All calls together.
    whole: Option<Rate>,
    /// Calls without a group of their own together.
    rest: Option<Rate>,
    /// The token endpoint, which is no part of the Management API.
    pub token: Option<Rate>,
    /// Groups of calls.
    #[serde(default)]
    groups: IndexMap<String, Rate>,
}

impl Plan {
    /// The buckets that a call of this group takes a token from, in the order in which Auth0 looks.
    pub fn buckets<'a>(&'a self, group: Option<&'a str>) -> impl Iterator<Item = (&'a str, Rate)> {
        let own = group.and_then(|group| Some((group, *self.groups.get(group)?)));
        let whole = self.whole.map(|rate| (WHOLE, rate));
        whole.into_iter().chain(own.or(self.rest.map(|rate| (REST, rate))))
    }

    /// Calls a minute that a steady stream of calls of this group is let through, once `reserve`
    /// percent of the limit are left to others; none where nothing limits it.
    pub fn per_minute(&self, group: Option<&str>, reserve: u8) -> Option<f64> {
        let rates = self.buckets(group).map(|(_, rate)| rate.per_second() * 60.0 * share(reserve));
        rates.min_by(f64::total_cmp)
    }

    /// Minutes that so many calls of each group take together, once `reserve` percent of every limit
    /// are left to others. What the buckets hold at the start is not counted.
    pub fn minutes<'a>(
        &'a self,
        calls: impl IntoIterator<Item = (Option<&'a str>, u64)>,
        reserve: u8,
    ) -> f64 {
        let mut spent: IndexMap<&str, f64> = IndexMap::new();
        for (group, calls) in calls {
            for (bucket, rate) in self.buckets(group) {
                let minutes = calls as f64 / (rate.per_second() * 60.0 * share(reserve));
                *spent.entry(bucket).or_default() += minutes;
            }
        }
        spent.into_values().fold(0.0, f64::max)
    }
}

/// The part of a limit that is ours, 0 to 1.
pub fn share(reserve_percent: u8) -> f64 {
    f64::from(100 - reserve_percent.min(100)) / 100.0
}

/// The plans, and the groups of calls that they limit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    calls: IndexMap<String, Vec<Pattern>>,
    plan: IndexMap<String, Plan>,
}

/// `GET /clients/{}`, `GET /clients?q`
#[derive(Clone, Debug)]
struct Pattern {
    method: String,
    path: String,
    parameter: Option<String>,
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let wrong = || de::Error::custom(format!("{text} is no call like \"GET /clients/{{}}\""));
        let (method, rest) = text.split_once(' ').ok_or_else(wrong)?;
        let (path, parameter) = match rest.split_once('?') {
            Some((path, parameter)) => (path, Some(parameter.to_owned())),
            None => (rest, None),
        };
        if !path.starts_with('/') {
            return Err(wrong());
        }
        Ok(Pattern { method: method.to_owned(), path: path.to_owned(), parameter })
    }
}

impl Pattern {
    fn fits(&self, method: &str, path: &str, has: &dyn Fn(&str) -> bool) -> bool {
        let same = || {
            let mut segments = path.trim_end_matches('/').split('/');
            let each = self
                .path
                .split('/')
                .all(|expected| segments.next().is_some_and(|actual| expected == actual || expected == "{}"));
            each && segments.next().is_none()
        };
        self.method == method && same() && self.parameter.as_deref().is_none_or(has)
    }
}

impl Limits {
    /// The published figures, or those of `limits.toml` in the folder that `AUTH0_SYNC_CATALOG` names.
    ///
    /// # Errors
    /// `config` where the file cannot be read; `catalog`, naming what is wrong in it.
    pub fn load() -> Result<Limits> {
        let folder = std::env::var_os("AUTH0_SYNC_CATALOG").filter(|folder| !folder.is_empty());
        let Some(file) = folder.map(|folder| Path::new(&folder).join(FILE)).filter(|file| file.exists())
        else {
            return Limits::read(BUNDLED);
        };
        let text = std::fs::read_to_string(&file)
            .map_err(|error| Error::with(Kind::Config, format!("cannot read {}", file.display()), error))?;
        Limits::read(&text)
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// `catalog`, naming what is wrong.
    pub fn read(text: &str) -> Result<Limits> {
        let wrong = |what: String| Error::new(Kind::Catalog, format!("{FILE}: {what}"));
        let mut limits: Limits = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let groups: IndexMap<_, _> =
            limits.plan.iter().map(|(name, plan)| (name.clone(), plan.groups.clone())).collect();
        for (name, plan) in &mut limits.plan {
            plan.name.clone_from(name);
            if let Some(like) = &plan.like {
                let other = groups.get(like).ok_or_else(|| wrong(format!("there is no plan {like}")))?;
                if plan.groups.is_empty() {
                    plan.groups.clone_from(other);
                }
            }
            if let Some(strange) = plan.groups.keys().find(|group| !limits.calls.contains_key(*group)) {
                return Err(wrong(format!("plan {name}: {strange} has no calls")));
            }
        }
        Ok(limits)
    }

    /// Names of the plans.
    pub fn plans(&self) -> impl Iterator<Item = &str> {
        self.plan.values().flat_map(|plan| [Some(plan.name.as_str()), plan.also.as_deref()]).flatten()
    }

    /// The plan of this name.
    ///
    /// # Errors
    /// `config`, listing the names.
    pub fn plan(&self, name: &str) -> Result<&Plan> {
        let named = |plan: &&Plan| plan.name == name || plan.also.as_deref() == Some(name);
        self.plan.values().find(named).ok_or_else(|| {
            let names: Vec<_> = self.plans().collect();
            Error::new(Kind::Config, format!("{name} is no plan; the plans are {}", names.join(", ")))
        })
    }

    /// Groups of calls, in the order of the file.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.calls.keys().map(String::as_str)
    }

    /// The group of a call: method in capitals, path below `/api/v2` (or its template), and whether
    /// its query has a parameter.
    pub fn group(&self, method: &str, path: &str, has: impl Fn(&str) -> bool) -> Option<&str> {
        let fits = |patterns: &Vec<Pattern>| patterns.iter().any(|pattern| pattern.fits(method, path, &has));
        self.calls.iter().find(|(_, patterns)| fits(patterns)).map(|(group, _)| group.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Recognise};

    fn limits() -> Limits {
        Limits::read(BUNDLED).unwrap()
    }

    /// What a plan says of a call: its buckets with their rates.
    fn of(plan: &str, method: &str, path: &str, parameter: Option<&str>) -> Vec<(String, u32, u32, u64)> {
        let limits = limits();
        let group = limits.group(method, path, |name| Some(name) == parameter);
        let buckets = limits.plan(plan).unwrap().buckets(group);
        buckets.map(|(name, r)| (name.to_owned(), r.burst, r.count, r.unit.as_secs())).collect()
    }

    fn bucket(name: &str, burst: u32, count: u32, unit: u64) -> (String, u32, u32, u64) {
        (name.to_owned(), burst, count, unit)
    }

    #[test]
    fn a_call_takes_from_the_whole_and_from_its_group_or_from_the_rest() {
        let org = "/organizations/org_1";
        assert_eq!(of("free", "GET", org, None), [bucket(WHOLE, 2, 2, 1)]);
        assert_eq!(
            of("free", "POST", "/custom-domains/cd_1/verify", None),
            [bucket(WHOLE, 2, 2, 1), bucket("custom_domain_verify", 5, 5, 60)]
        );
        assert_eq!(of("essentials", "GET", org, None), [bucket("organization_read_by_id", 20, 200, 60)]);
        assert_eq!(of("professional", "GET", "/roles", None), [bucket(REST, 10, 150, 60)]);
        assert_eq!(of("professional", "GET", "/clients", None), [bucket("clients_read", 5, 100, 60)]);
        assert_eq!(of("professional", "GET", "/clients", Some("q")), [bucket("clients_search", 5, 150, 60)]);
        for plan in ["enterprise", "enterprise-development"] {
            let (burst, rate) = if plan == "enterprise" { (50, 16) } else { (10, 2) };
            assert_eq!(of(plan, "GET", "/clients", None), [bucket(WHOLE, burst, rate, 1)]);
            assert_eq!(
                of(plan, "DELETE", org, None),
                [bucket(WHOLE, burst, rate, 1), bucket("organizations_write", 5, 150, 60)]
            );
        }
        assert_eq!(
            of("private-5x", "GET", "/organizations/name/acme", None),
            [bucket(WHOLE, 250, 250, 1), bucket("organization_read_by_name", 100, 1000, 60)]
        );
    }

    #[test]
    fn every_call_of_a_group_is_one_that_the_catalogue_knows() {
        let (limits, catalog) = (limits(), Catalog::bundled().unwrap());
        let mut known: Vec<String> = Vec::new();
        for resource in catalog.iter() {
            let calls = [&resource.get, &resource.update, &resource.delete].into_iter().flatten();
            let created = resource.create.as_ref().map(|create| &create.call);
            let replaced = resource.replace.as_ref().map(|replace| &replace.call);
            let run = resource.command.iter().map(|command| &command.call);
            for call in calls.chain(created).chain(replaced).chain(run) {
                known.push(format!("{} {}", call.method, call.path));
            }
            known.extend(resource.list.iter().map(|list| format!("GET {}", list.path)));
            if let Some(Recognise::Path { path }) = resource.create.as_ref().map(|create| &create.recognise) {
                known.push(format!("GET {path}"));
            }
            let routes = resource.emulator.get("route").and_then(toml::Value::as_array);
            for call in
                routes.into_iter().flatten().filter_map(toml::Value::as_table).flat_map(|r| r.values())
            {
                let text = |name: &str| call.get(name).and_then(toml::Value::as_str);
                let method = text("method").unwrap_or("GET");
                known.extend(text("path").map(|path| format!("{method} {path}")));
            }
        }
        let generic = |call: &str| {
            let parts: Vec<_> =
                call.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect();
            parts.join("/")
        };
        let known: Vec<_> = known.iter().map(|call| generic(call)).collect();
        for pattern in limits.calls.values().flatten() {
            let call = format!("{} {}", pattern.method, pattern.path);
            assert!(known.contains(&call), "nothing calls {call}");
        }
    }

    #[test]
    fn the_steady_rate_is_that_of_the_narrowest_bucket_less_the_reserve() {
        let limits = limits();
        let rate = |plan: &str, group| limits.plan(plan).unwrap().per_minute(group, 20).map(f64::round);
        assert_eq!(rate("free", None), Some(96.0));
        assert_eq!(rate("free", Some("custom_domain_verify")), Some(4.0));
        assert_eq!(rate("professional", Some("users_read")), Some(400.0));
        assert_eq!(rate("enterprise", Some("organizations_write")), Some(120.0));
        assert_eq!(rate("enterprise", Some("users_read")), Some(768.0));
    }

    #[test]
    fn the_time_of_many_calls_is_that_of_the_bucket_which_takes_longest() {
        let limits = limits();
        let minutes = |plan: &str, calls: &[(Option<&str>, u64)]| {
            limits.plan(plan).unwrap().minutes(calls.iter().copied(), 20).round()
        };
        assert_eq!(minutes("free", &[(Some("users_read"), 960), (None, 960)]), 20.0);
        assert_eq!(minutes("professional", &[(Some("users_read"), 4_000), (None, 600)]), 10.0);
        assert_eq!(minutes("enterprise", &[(Some("organizations_read"), 800), (None, 768)]), 10.0);
        assert_eq!(minutes("free", &[]), 0.0);
    }

    #[test]
    fn an_unknown_plan_and_a_wrong_file_are_named() {
        let error = limits().plan("gold").unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains("free, professional, essentials, enterprise,"), "{error}");
        for (text, what) in [
            ("[calls]\na = ['get']\n[plan]", "no call like"),
            ("[calls]\n[plan.p]\nwhole = '0, 2/second'", "no rate like"),
            ("[calls]\n[plan.p.groups]\na = '1, 1/day'", "a has no calls"),
            ("[calls]\n[plan.p]\nlike = 'q'", "no plan q"),
        ] {
            let error = Limits::read(text).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
