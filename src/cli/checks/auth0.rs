//! Auth0: the domain, the credentials, and the scopes that each table needs.

use std::collections::BTreeMap;

use super::Report;
use crate::app::Config;
use crate::auth0::{Client, EVENTS_SCOPE};
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
            scopes(config, catalog, &granted, report);
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

/// Names what would not work, by the scope that is missing.
fn scopes(config: &Config, catalog: &Catalog, granted: &[String], report: &mut Report) {
    let named = |table: &str| config.selection.objects.iter().any(|object| object == table);
    let (mut asked_for, mut others) = (Lacks::default(), Lacks::default());
    let mut writes: BTreeMap<String, Lacks> = BTreeMap::new();
    let mut fields = Lacks::default();
    let mut complete = 0;
    for resource in catalog.iter() {
        let table = resource.table.as_str();
        let (reads, refused) = lacking(resource, granted);
        complete += usize::from(reads.is_empty() && refused.is_empty());
        for scope in reads {
            // Who names a table wants it; of the others some may be left empty.
            let lacks = if named(table) { &mut asked_for } else { &mut others };
            lacks.entry(scope).or_default().push(table.to_owned());
        }
        for (statement, scope) in refused {
            let lacks = writes.entry(scope).or_default();
            lacks.entry(statement.to_owned()).or_default().push(table.to_owned());
        }
        for (name, column) in &resource.columns {
            if let Some(scope) = column.scope.as_ref().filter(|scope| !granted.contains(scope)) {
                fields.entry(scope.clone()).or_default().push(format!("{table}.{name}"));
            }
        }
    }
    let grant = format!("grant it to the application ({WHERE})");
    for (scope, tables) in &asked_for {
        report.wrong(format!("reading {} needs {scope}", of_schema(&config.schema, tables)), &grant);
    }
    let mut left_out: Vec<_> = others.values().flatten().map(|table| format!("\"-{table}\"")).collect();
    left_out.sort();
    left_out.dedup();
    let last = others.len().saturating_sub(1);
    for (number, (scope, tables)) in others.iter().enumerate() {
        // One advice for all of them is enough.
        let list = left_out.join(", ");
        let mend = format!(
            "grant them to the application ({WHERE}),\nor leave out what you do not need: add {list} to objects"
        );
        report.warn(
            format!("without {scope} nothing fills {}", of_schema(&config.schema, tables)),
            if number == last { mend } else { String::new() },
        );
    }
    let last = writes.len().saturating_sub(1);
    for (number, (scope, statements)) in writes.iter().enumerate() {
        let refused: Vec<_> = statements
            .iter()
            .map(|(statement, tables)| format!("{statement} {}", of_schema(&config.schema, tables)))
            .collect();
        let mend = if number == last {
            format!("grant them to the application if clients shall do this ({WHERE})")
        } else {
            String::new()
        };
        report.warn(format!("without {scope} Auth0 will refuse {}", refused.join("; ")), mend);
    }
    for (scope, columns) in &fields {
        report.warn(
            format!("without {scope} Auth0 leaves out {}", columns.join(", ")),
            "grant it to the application if the columns are of use",
        );
    }
    if !LOG.iter().any(|scope| granted.iter().any(|has| has == scope)) {
        report.wrong(format!("following changes at Auth0 (its tenant log) needs {}", LOG[0]), &grant);
    }
    let told: Vec<_> =
        catalog.iter().filter(|resource| resource.is_read() && resource.event.is_some()).collect();
    if config.events && !told.is_empty() && !granted.iter().any(|scope| scope == EVENTS_SCOPE) {
        let tables: Vec<_> = told.iter().map(|resource| resource.table.clone()).collect();
        report.warn(
            format!(
                "without {EVENTS_SCOPE} changes of {} come by the tenant log alone, seconds later",
                of_schema(&config.schema, &tables)
            ),
            format!("grant it to the application ({WHERE}), or set events = false"),
        );
    }
    report.good(format!("scopes for reading and writing: {complete} of {} tables", catalog.iter().count()));
}

/// What is missing → whom it concerns.
type Lacks = BTreeMap<String, Vec<String>>;

fn of_schema(schema: &str, tables: &[String]) -> String {
    let names: Vec<_> = tables.iter().map(|table| format!("{schema}.{table}")).collect();
    names.join(", ")
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
    let of_set = |able: bool| resource.replace.as_ref().filter(|_| able).map(|set| &set.call);
    let of_commands = resource.command.iter().map(|command| ("INSERT into", Some(&command.call)));
    let mut writes: Vec<_> = [
        ("INSERT into", resource.create.as_ref().map(|create| &create.call)),
        ("UPDATE of", resource.update.as_ref()),
        ("DELETE from", resource.delete.as_ref()),
        ("INSERT into", of_set(resource.inserts())),
        ("UPDATE of", of_set(resource.updates())),
        ("DELETE from", of_set(resource.deletes())),
    ]
    .into_iter()
    .chain(of_commands)
    .filter_map(|(statement, call)| Some((statement, missing(&call?.scopes)?)))
    .collect();
    reads.sort();
    reads.dedup();
    writes.sort();
    writes.dedup();
    (reads, writes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Call;

    #[test]
    fn any_one_scope_allows_a_call_and_every_call_is_looked_at() {
        let catalog = Catalog::bundled().unwrap();
        for resource in catalog.iter() {
            let lists = resource.list.iter().flat_map(|list| list.scopes.clone());
            let all: Vec<String> =
                lists.chain(resource.calls().flat_map(|call| call.scopes.clone())).collect();
            assert_eq!(lacking(resource, &all), (vec![], vec![]), "{}", resource.table);
            let (reads, writes) = lacking(resource, &[]);
            let scoped = |call: &Call| !call.scopes.is_empty();
            assert_eq!(
                reads.is_empty(),
                resource.list.iter().all(|list| list.scopes.is_empty()) && !resource.get.iter().any(scoped)
            );
            assert_eq!(
                writes.is_empty(),
                !resource.calls().filter(|call| call.method != "GET").any(scoped),
                "{}",
                resource.table
            );
        }
    }
}
