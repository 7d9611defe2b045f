//! Auth0: the domain, the credentials, and the scopes that each table needs.

use super::Report;
use crate::app::Config;
use crate::auth0::Client;
use crate::catalog::{Catalog, Resource};
use crate::error::Kind;

/// Any one allows reading the tenant log, which is no table.
const LOG: [&str; 2] = ["read:logs", "read:logs_users"];

const WHERE: &str =
    "Auth0 Dashboard: Applications, APIs, Auth0 Management API, Machine to Machine Applications";

/// Asks for a token, and compares what it may do with what the catalogue needs.
pub(in crate::cli) async fn check(config: &Config, catalog: &Catalog, report: &mut Report) {
    let settings = &config.auth0;
    let asked = match Client::new(settings) {
        Ok(client) => client.scopes().await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(granted) => {
            report.good(format!("token for the Management API of {}", settings.domain));
            scopes(&config.schema, catalog, &granted, report);
        }
        Err(error) => report.wrong(error.to_string(), mend(error.kind(), settings.base_url.is_some())),
    }
}

fn mend(kind: Kind, elsewhere: bool) -> String {
    match kind {
        Kind::Auth0Unreachable | Kind::Auth0Answer if elsewhere => {
            "check AUTH0_BASE_URL: it names where Auth0, or its emulator, answers".to_owned()
        }
        Kind::Auth0Unreachable | Kind::Auth0Answer => {
            "check AUTH0_DOMAIN: the tenant's own domain (acme.eu.auth0.com), no custom domain; and the way out to it"
                .to_owned()
        }
        Kind::Auth0Credentials => "check AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET: \
            those of a machine-to-machine application of this tenant"
            .to_owned(),
        Kind::Auth0Token => format!(
            "authorize the application ({WHERE}), and check that AUTH0_DOMAIN is the tenant's own domain, no custom one"
        ),
        other => other.policy().hint.to_owned(),
    }
}

/// Names what would not work, table by table.
fn scopes(schema: &str, catalog: &Catalog, granted: &[String], report: &mut Report) {
    let mut complete = 0;
    for resource in catalog.iter() {
        let table = format!("{schema}.{}", resource.table);
        let (reads, writes) = lacking(resource, granted);
        if reads.is_empty() && writes.is_empty() {
            complete += 1;
        }
        if !reads.is_empty() {
            report.wrong(
                format!("reading {table} needs {}", reads.join(", and ")),
                format!("grant it to the application ({WHERE})"),
            );
        }
        for (statement, needed) in writes {
            report.warn(
                format!("Auth0 will refuse {statement} {table}: it needs {needed}"),
                format!("grant it to the application if clients shall do this ({WHERE})"),
            );
        }
    }
    if !LOG.iter().any(|scope| granted.iter().any(|has| has == scope)) {
        report.wrong(
            format!("following changes at Auth0 (its tenant log) needs {}", LOG[0]),
            format!("grant it to the application ({WHERE})"),
        );
    }
    report.good(format!("scopes for reading and writing: {complete} of {} tables", catalog.iter().count()));
}

/// What is missing: alternatives for reading, and for each kind of statement that writes.
fn lacking(resource: &Resource, granted: &[String]) -> (Vec<String>, Vec<(&'static str, String)>) {
    let missing = |scopes: &[String]| {
        let allowed = scopes.is_empty() || scopes.iter().any(|scope| granted.contains(scope));
        (!allowed).then(|| scopes.join(" or "))
    };
    let lists = resource.list.iter().map(|list| &list.scopes);
    let mut reads: Vec<String> = lists
        .chain(resource.get.iter().map(|get| &get.scopes))
        .filter_map(|scopes| missing(scopes))
        .collect();
    reads.sort();
    reads.dedup();
    let writes = [
        ("INSERT into", resource.create.as_ref().map(|create| &create.call)),
        ("UPDATE of", resource.update.as_ref()),
        ("DELETE from", resource.delete.as_ref()),
    ];
    let writes = writes
        .into_iter()
        .filter_map(|(statement, call)| Some((statement, missing(&call?.scopes)?)))
        .collect();
    (reads, writes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_one_scope_allows_a_call_and_every_call_is_looked_at() {
        let catalog = Catalog::bundled().unwrap();
        for resource in catalog.iter() {
            let mut all: Vec<String> = resource.list.iter().flat_map(|list| list.scopes.clone()).collect();
            let calls = [resource.get.as_ref(), resource.update.as_ref(), resource.delete.as_ref()];
            all.extend(calls.into_iter().flatten().flat_map(|call| call.scopes.clone()));
            all.extend(resource.create.iter().flat_map(|create| create.call.scopes.clone()));
            assert_eq!(lacking(resource, &all), (vec![], vec![]), "{}", resource.table);
            let (reads, writes) = lacking(resource, &[]);
            assert!(!reads.is_empty(), "{}", resource.table);
            let able = [resource.create.is_some(), resource.update.is_some(), resource.delete.is_some()];
            assert_eq!(writes.len(), able.into_iter().filter(|can| *can).count());
        }
    }
}
