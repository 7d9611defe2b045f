//! A tenant that answers as a test tells it, and a service's ingest beside a schema of its own, in
//! this process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth0_sync::auth0::{Client, Settings};
use auth0_sync::catalog::{Catalog, Target};
use auth0_sync::ingest::{self, Context, Due, Entries, Logs, Pace, Queue};
use auth0_sync::pg::connect;
use auth0_sync::pg::mirror::Freshness;
use axum::http::{Method, StatusCode, Uri};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::mirror::Mirror;
use crate::support::stand::DATABASE;
use crate::support::{Postgres, Session};

const PACE: Pace = Pace { busy: Duration::from_millis(20), idle: Duration::from_millis(20) };
/// Parameters that say which part of a list is asked for.
const PAGING: [&str; 7] = ["page", "per_page", "include_totals", "take", "from", "sort", "q"];

#[derive(Default)]
struct State {
    /// Path and query (without paging) → status and body; arrays are paged.
    answers: BTreeMap<String, (u16, Value)>,
    log: Vec<Value>,
    calls: HashMap<String, usize>,
}

/// The tenant.
#[derive(Clone, Default)]
pub(crate) struct Tenant(Arc<Mutex<State>>);

impl Tenant {
    /// From now on the path (with its query) answers this.
    pub(crate) fn has(&self, path: &str, body: Value) {
        self.answers(path, 200, body);
    }

    pub(crate) fn answers(&self, path: &str, status: u16, body: Value) {
        self.0.lock().unwrap().answers.insert(path.to_owned(), (status, body));
    }

    /// From now on it answers 404.
    pub(crate) fn lacks(&self, path: &str) {
        self.0.lock().unwrap().answers.remove(path);
    }

    /// Appends an entry to the log.
    pub(crate) fn logs(&self, mut entry: Value) {
        let mut state = self.0.lock().unwrap();
        entry["log_id"] = json!(format!("{:06}", state.log.len() + 1));
        entry["date"] = json!("2026-01-02T03:04:05.678Z");
        state.log.push(entry);
    }

    /// Appends the entry of a call.
    pub(crate) fn logs_call(&self, method: &str, path: &str, answer: Value) {
        let request = json!({"method": method, "path": format!("/api/v2{path}")});
        self.logs(json!({"type": "sapi", "details": {"request": request, "response": {"body": answer}}}));
    }

    /// Calls of a path since the last look.
    pub(crate) fn calls(&self, path: &str) -> usize {
        self.0.lock().unwrap().calls.remove(path).unwrap_or_default()
    }

    fn answer(&self, uri: &Uri) -> (u16, Value) {
        let mut state = self.0.lock().unwrap();
        let path = uri.path().strip_prefix("/api/v2").unwrap_or(uri.path()).to_owned();
        *state.calls.entry(path.clone()).or_default() += 1;
        let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let query: BTreeMap<String, String> = pairs.into_owned().collect();
        if path == "/logs" {
            return (200, json!(log_page(&state.log, &query)));
        }
        let rest: Vec<_> = query.iter().filter(|(name, _)| !PAGING.contains(&name.as_str())).collect();
        let rest: Vec<_> = rest.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let name = if rest.is_empty() { path } else { format!("{path}?{}", rest.join("&")) };
        match state.answers.get(&name) {
            Some((200, Value::Array(items))) => (200, page(items, &query)),
            Some((status, body)) => (*status, body.clone()),
            None => (404, json!({"statusCode": 404, "error": "Not Found", "message": "It does not exist."})),
        }
    }
}

fn page(items: &[Value], query: &BTreeMap<String, String>) -> Value {
    let number = |name: &str| query.get(name).map(|value| value.parse::<usize>().unwrap());
    if let Some(take) = number("take") {
        let from = number("from").unwrap_or(0);
        let part: Vec<_> = items.iter().skip(from).take(take).collect();
        let next = (from + part.len() < items.len()).then(|| (from + part.len()).to_string());
        return json!({"items": part, "next": next});
    }
    if let (Some(page), Some(size)) = (number("page"), number("per_page")) {
        let part: Vec<_> = items.iter().skip(page * size).take(size).collect();
        return json!({"items": part, "total": items.len(), "limit": size});
    }
    json!(items)
}

fn log_page(log: &[Value], query: &BTreeMap<String, String>) -> Vec<Value> {
    let id = |entry: &Value| entry["log_id"].as_str().unwrap().to_owned();
    let size = query.get("take").or(query.get("per_page")).map_or(50, |size| size.parse().unwrap());
    match (query.get("from"), query.get("sort").map(String::as_str)) {
        (Some(from), _) => log.iter().filter(|entry| id(entry) > *from).take(size).cloned().collect(),
        (None, Some("date:-1")) => log.iter().rev().take(size).cloned().collect(),
        (None, _) => log.iter().take(size).cloned().collect(),
    }
}

/// Schema, tenant and ingest.
pub(crate) struct Pretend {
    pub(crate) tenant: Tenant,
    pub(crate) mirror: Mirror,
    pub(crate) context: Context,
    pub(crate) queue: Arc<Queue>,
    tasks: Vec<JoinHandle<()>>,
}

impl Pretend {
    /// Everything but the reading; the tenant is as `before` made it.
    pub(crate) async fn begin(catalog: Catalog, before: impl FnOnce(&Tenant)) -> Pretend {
        let tenant = Tenant::default();
        before(&tenant);
        let (answers, listener) =
            (tenant.clone(), tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(async move |method: Method, uri: Uri| {
            if method == Method::POST {
                return (StatusCode::OK, Json(json!({"access_token": "t", "expires_in": 86400, "scope": "", "token_type": "Bearer"})));
            }
            let (status, body) = answers.answer(&uri);
            (StatusCode::from_u16(status).unwrap(), Json(body))
        });
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let mut settings = Settings::new("tenant.test", "id", "secret");
        settings.base_url = Some(url.parse().unwrap());
        let mut mirror = Mirror::new(Postgres::start()).await;
        mirror.apply(&catalog).await;
        let database =
            connect(&mirror.postgres.url("auth0_sync", "service", DATABASE).into(), 20).await.unwrap();
        let context = Context {
            catalog: Arc::new(catalog),
            database,
            schema: "auth0".to_owned(),
            auth0: Client::new(&settings).unwrap(),
            freshness: Arc::new(Freshness::default()),
            instance: "ours".to_owned(),
            refused: Arc::default(),
            activity: Arc::default(),
            progress: Arc::default(),
            skip: Arc::default(),
            exports: Arc::default(),
            live: Default::default(),
            rates: None,
            gate: Arc::new(Semaphore::new(ingest::READS_AT_A_TIME)),
            compare: None,
        };
        let mut pretend = Pretend { tenant, mirror, context, queue: Arc::default(), tasks: vec![server] };
        for _ in 0..3 {
            let (context, queue) = (pretend.context.clone(), Arc::clone(&pretend.queue));
            pretend.tasks.push(tokio::spawn(async move { ingest::refetch(&context, &queue).await }));
        }
        pretend
    }

    /// The same, filled.
    pub(crate) async fn filled(catalog: Catalog, before: impl FnOnce(&Tenant)) -> Pretend {
        let mut pretend = Self::begin(catalog, before).await;
        pretend.fill().await;
        pretend
    }

    /// Fills what waits, the log's table too.
    pub(crate) async fn fill(&mut self) {
        ingest::backfill(&self.context, &self.queue, Due::Now).await.unwrap();
        ingest::backfill_entries(&self.context, &self.queue, Due::Now).await.unwrap();
    }

    /// Marks tables as `auth0-sync backfill` does, and fills them.
    pub(crate) async fn fill_again(&mut self, tables: &[&str]) {
        let tables: Vec<_> = tables.iter().map(|table| format!("'{table}'")).collect();
        let which = if tables.is_empty() {
            String::new()
        } else {
            format!(" where \"table\" in ({})", tables.join(", "))
        };
        let sql = format!(
            "update _auth0_sync.backfill set state = 'waiting', finished_at = null, error = null{which}"
        );
        self.mirror.service.run(&sql).await;
        self.fill().await;
    }

    /// Begins to follow the log.
    pub(crate) async fn follow(&mut self) {
        let entries = Entries::find(&self.context.catalog).unwrap();
        let logs = Logs::open(self.context.clone(), Arc::clone(&self.queue), entries).await.unwrap();
        self.tasks.push(tokio::spawn(logs.follow(PACE)));
    }

    /// Begins to watch rows that are being worked on.
    pub(crate) fn watch(&mut self) {
        let (context, queue) = (self.context.clone(), Arc::clone(&self.queue));
        self.tasks.push(tokio::spawn(async move { ingest::watch_settling(&context, &queue).await }));
    }

    /// Reads targets, and what follows from them.
    pub(crate) async fn read(&self, target: Target) {
        self.queue.ask([target]);
        let what = "nothing is left to read";
        crate::wait_until(what, crate::SECONDS, async || self.queue.report().open == 0).await;
    }

    /// A query's only column, joined by spaces in its order.
    pub(crate) async fn all(&mut self, sql: &str) -> String {
        let sql =
            format!("select coalesce(string_agg(v::text, ' ' order by v::text), '') from ({sql}) x (v)");
        self.mirror.service.text(&sql).await
    }

    /// State and error of a table's filling.
    pub(crate) async fn state(&mut self, table: &str) -> String {
        let sql = format!(
            "select concat_ws(': ', state, error) from _auth0_sync.backfill where \"table\" = '{table}'"
        );
        self.mirror.service.text(&sql).await
    }

    /// The service's own connection.
    pub(crate) fn sql(&mut self) -> &mut Session {
        &mut self.mirror.service
    }
}

impl Drop for Pretend {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
