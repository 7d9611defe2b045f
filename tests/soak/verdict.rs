//! What must hold at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clients::{Book, OWN};
use crate::strict::STRICT;
use crate::support::{Stand, compare, wait_until};

/// Until nothing is under way any more, beside as long as the trouble lasted: what it has held up is
/// worked off first.
const QUIET_WITHIN: Duration = Duration::from_secs(120);
/// How often it says what it is waiting for.
const TELL_EACH: Duration = Duration::from_secs(5);
/// So many looks in a row must find nothing under way.
const LOOKS: u32 = 20;
/// What is on its way when all queues are empty arrives by then.
const EQUAL_WITHIN: Duration = Duration::from_secs(10);

/// Waits until every mutation is settled, the tenant log is read to its end, and nothing waits to
/// be read; how long that took.
pub(crate) async fn quiet(stand: &mut Stand, trouble: Duration) -> Duration {
    let begun = Instant::now();
    let mut root = stand.root().await;
    let service = stand.service.as_mut().unwrap();
    assert!(service.runs(), "the service has ended by itself:\n{}", service.log());
    let (mut looks, mut pace) = (0, tokio::time::interval(Duration::from_millis(20)));
    let mut told = Duration::ZERO;
    while looks < LOOKS {
        pace.tick().await;
        let unsettled = "select count(*) from auth0._sync_cdc where settled_at is null";
        let read = "select coalesce(max(position), '') from _auth0_sync.checkpoint where source = 'logs'";
        let status = stand.status().await;
        let (open, read, newest) =
            (root.count(unsettled).await, root.text(read).await, newest_entry(stand).await);
        let rests = idle(&status) && open == 0 && read == newest;
        if begun.elapsed() > told {
            told += TELL_EACH;
            println!(
                "{} s: {open} unsettled, the log is read to {read} of {newest}, {}",
                begun.elapsed().as_secs(),
                under_way(&status)
            );
        }
        looks = if rests { looks + 1 } else { 0 };
        if begun.elapsed() > QUIET_WITHIN + trouble {
            let open = "select \"table\", operation, state, attempts, error from auth0._sync_cdc where settled_at is null limit 20";
            panic!("both sides do not come to rest: {status}\n{:#?}", root.rows(open).await);
        }
    }
    begun.elapsed()
}

/// What the status page shows as waiting or under way.
fn under_way(status: &Value) -> Value {
    let of = |section: &str, name: &str| status[section][name].clone();
    json!({
        "held": of("writeback", "held"), "in_flight": of("writeback", "in_flight"), "refetch": of("refetch", "open"),
    })
}

/// Whether the status page shows nothing that waits or is under way.
fn idle(status: &Value) -> bool {
    under_way(status).as_object().unwrap().values().all(|open| open.as_u64() == Some(0))
}

async fn newest_entry(stand: &Stand) -> String {
    let newest = stand.emulator.api.get("/api/v2/logs?sort=date:-1&per_page=1&page=0").await;
    newest[0]["log_id"].as_str().unwrap_or_default().to_owned()
}

/// Every table is what the tenant has.
pub(crate) async fn equal(stand: &Stand) {
    let begun = Instant::now();
    let mut differences = Vec::new();
    wait_until("every table equals the tenant", EQUAL_WITHIN + Duration::from_secs(20), async || {
        differences = compare(stand).await;
        differences.is_empty() || begun.elapsed() > EQUAL_WITHIN
    })
    .await;
    if !differences.is_empty() {
        let mut root = stand.root().await;
        let mut shown = Vec::new();
        for difference in differences.iter().take(30) {
            shown.push(difference.clone());
            // "table part, part: …" or "table part, part.column: …"
            let table = difference.split(' ').next().unwrap_or_default();
            let part = difference
                .split([' ', ',', ':'])
                .nth(1)
                .unwrap_or_default()
                .split('.')
                .next()
                .unwrap_or_default();
            let history = format!(
                "select id, operation, key, state, error ->> 'message' as error, settled_at from auth0._sync_cdc \
                 where \"table\" = '{table}' and strpos(concat(key, before, after), '{part}') > 0 order by id desc limit 5"
            );
            shown.extend(root.rows(&history).await.iter().map(|row| format!("    {row}")));
        }
        panic!("{} differences:\n{}", differences.len(), shown.join("\n"));
    }
    println!("equal after {:.1} s", begun.elapsed().as_secs_f64());
}

/// The whole tenant log, oldest first.
pub(crate) async fn log(stand: &Stand) -> Vec<Value> {
    let (mut entries, mut from) = (Vec::new(), String::new());
    loop {
        let page = stand.emulator.api.get(&format!("/api/v2/logs?from={from}&take=100")).await;
        let page = page.as_array().unwrap();
        let Some(last) = page.last() else { return entries };
        from = last["log_id"].as_str().unwrap().to_owned();
        entries.extend(page.iter().cloned());
    }
}

/// How many rows of one name there were.
#[derive(Debug, Default)]
struct Made {
    there: u32,
    most: u32,
}

impl Made {
    fn once_more(&mut self) {
        self.there += 1;
        self.most = self.most.max(self.there);
    }
}

/// No create was sent twice, and no confirmed one is missing.
///
/// A row whose create got no answer and that another application deletes before it is read back is
/// made again: nothing at Auth0 tells it from one that was never made.
pub(crate) async fn once(stand: &Stand, log: &[Value]) {
    let mut made = BTreeMap::<(String, String), Made>::new();
    let mut names = BTreeMap::<String, (String, String)>::new();
    for entry in log {
        let request = &entry["details"]["request"];
        let (method, path) = (request["method"].as_str(), request["path"].as_str().unwrap_or_default());
        let text = |name: &str| request["body"][name].as_str();
        match method {
            Some("post") => {
                let name = text("email").or(text("identifier")).or(text("name"));
                if let Some(name) = name.filter(|_| path.matches('/').count() == 3) {
                    let name = (path.to_owned(), name.to_owned());
                    made.entry(name.clone()).or_default().once_more();
                    let answer = &entry["details"]["response"]["body"];
                    let id =
                        ["id", "client_id", "user_id"].iter().find_map(|column| answer[*column].as_str());
                    names.insert(format!("{path}/{}", id.unwrap_or_default()), name);
                }
            }
            Some("delete") => {
                // A strict one may be taken back, and the row made again.
                let ours = !entry["references"].is_null();
                if let Some(name) = names.get(path).filter(|(_, name)| !ours || name.starts_with(STRICT)) {
                    made.entry(name.clone()).or_default().there = 0;
                }
            }
            _ => {}
        }
    }
    let twice: Vec<_> = made.iter().filter(|(_, made)| made.most > 1).collect();
    assert!(twice.is_empty(), "made more than once: {twice:?}");
    let mut root = stand.root().await;
    // Values of an INSERT stand in the mutation.
    let inserted = root
        .rows(
            "select \"table\" as t, state, error ->> 'message' as message, coalesce(after ->> 'email', after ->> 'identifier', after ->> 'name') as name \
             from auth0._sync_cdc where operation = 'INSERT' and \"table\" in ('user', 'role', 'organization', 'client', 'resource_server')",
        )
        .await;
    for row in &inserted {
        let (table, name) = (row["t"].as_str().unwrap(), row["name"].as_str().unwrap_or_default());
        let path = format!("/api/v2/{}s", table.replace('_', "-"));
        let most = made.get(&(path, name.to_owned())).map_or(0, |made| made.most);
        assert_eq!(most, u32::from(row["state"] == "confirmed"), "{table} {name} is {}: {row}", row["state"]);
    }
    println!("{} names were made once each, {} of them by clients", made.len(), inserted.len());
}

/// No row of this client has gone that it has not deleted; what did is told with all that was done to it.
pub(crate) async fn stayed(stand: &Stand, log: &[Value], book: &Book) {
    let Some((name, when)) = book.vanished.first() else { return };
    let of_it = log.iter().filter(|entry| entry.to_string().contains(name.as_str()));
    let calls: Vec<_> = of_it
        .map(|entry| {
            let (request, answer) = (&entry["details"]["request"], &entry["details"]["response"]);
            format!(
                "{} {} {} {} {}",
                entry["date"], request["method"], request["path"], answer["statusCode"], entry["references"]
            )
        })
        .collect();
    let changes = format!(
        "select id, operation, state, request_id, created_at, settled_at, options from auth0._sync_cdc \
         where strpos(concat(key, before, after), '{name}') > 0 order by id"
    );
    let changes: Vec<_> = stand.root().await.rows(&changes).await.iter().map(Value::to_string).collect();
    panic!(
        "{name} had gone at {when}, and nobody else deletes it\n{}\n{}",
        calls.join("\n"),
        changes.join("\n")
    );
}

/// Auth0 has what Postgres has promised this client, and nothing that failed.
pub(crate) fn kept(state: &Value, book: &Book) {
    let name = &book.name;
    let rows = |table: &str| state[table].as_array().unwrap();
    if let Some(linked) = book.linked {
        let (own, user) = (format!("{OWN}{name}"), format!("auth0|{OWN}{name}"));
        let role = rows("role").iter().find(|row| row["name"] == own.as_str()).unwrap();
        let there = rows("user_role")
            .iter()
            .any(|row| row["user_id"] == user.as_str() && row["role_id"] == role["id"]);
        assert_eq!(there, linked, "the link of client {name}");
    }
    let count = |table: &str, of: &str| {
        let user_id = format!("auth0|{of}");
        rows(table).iter().filter(|row| row["name"] == of || row["user_id"] == user_id.as_str()).count()
    };
    for (table, of) in &book.made {
        assert_eq!(count(table, of), 1, "{table} {of} was promised to client {name}");
    }
    for (table, of) in &book.refused {
        assert_eq!(count(table, of), 0, "{table} {of} was refused to client {name}, or it has deleted it");
    }
    let entries: usize = book.diaries.iter().map(|diary| diary.entries.len()).sum();
    println!(
        "client {name}: {entries} entries, {} rows as promised, {} gone",
        book.made.len(),
        book.refused.len()
    );
}
