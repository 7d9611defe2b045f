//! The HTTP side: reads a request, asks the token, the limits and the faults, hands it to the
//! tenant, and writes what changed before it answers. It decides nothing about resources.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, State as Shares};
use axum::http::{HeaderMap, Method, Response, header, request::Parts};
use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::calls::{self, Incoming};
use super::faults::{Fault, Faults};
use super::limits::{Headers, Limits};
use super::options::{Credentials, Options};
use super::problem::{Answer, Problem};
use super::quirks::clients;
use super::runtime::{self, Deed, Node};
use super::socket::{Caller, Socket};
use super::store::Store;
use super::token::{self, Claims};
use super::world::{Request, World};
use super::{control, events, exports, ids, imports, interrupt, multipart, populate, preload, tenant_name};
use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};

const API: &str = "/api/v2";
const CONTROL: &str = "/_emulator/";
const TOKEN: &str = "/oauth/token";
/// The Management API's largest body, in bytes.
const LARGEST_BODY: usize = 1_048_576;
/// The largest body of the emulator's own calls: whole tenants.
const LARGEST_DOCUMENT: usize = 256 * LARGEST_BODY;

const OWN_ID: &str = "client_id";
const OWN_SECRET: &str = "client_secret";
const OWN_KEY: &str = "token_key";

/// An emulated tenant, ready to be served.
#[derive(Clone, Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
}

/// What all requests share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) world: World,
    pub(super) client: Credentials,
    pub(super) options: Options,
    pub(super) key: String,
    scopes: Vec<String>,
    state: Mutex<State>,
    pub(super) node: Node,
    /// Number of the newest event; whoever follows them waits for it to change.
    pub(super) events: watch::Sender<u64>,
    /// Event streams under way.
    pub(super) seats: Arc<AtomicUsize>,
    /// The server ends: so do answers that never would.
    pub(super) stopping: CancellationToken,
}

/// What requests change.
#[derive(Debug)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) faults: Faults,
    /// Calls by method and path template.
    pub(super) calls: BTreeMap<String, u64>,
    limits: Option<Limits>,
}

/// Serves an emulated tenant on `listener` until `shutdown` completes.
///
/// # Errors
/// `io` or `catalog`, when the tenant cannot be opened or the socket fails.
pub async fn serve(
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    Emulator::open(options)?.serve(listener, shutdown).await
}

impl Emulator {
    /// Opens the tenant of the data folder, or a fresh one.
    ///
    /// # Errors
    /// `io`, naming the file; `catalog`, naming the file.
    pub fn open(options: Options) -> Result<Emulator> {
        let mut store = match &options.data {
            Some(folder) => Store::open(folder)?,
            None => Store::default(),
        };
        let kept = |name: &str| store.own(name).map(str::to_owned);
        let stored = kept(OWN_ID).zip(kept(OWN_SECRET)).map(|(id, secret)| Credentials { id, secret });
        let key = kept(OWN_KEY).unwrap_or_else(|| ids::word(64));
        let world = World::new(Catalog::load()?, &options, &key)?;
        let new = stored.is_none();
        let client = stored.or_else(|| options.client.clone()).unwrap_or_else(Credentials::random);
        if new {
            store.set_own(OWN_ID, &client.id);
            store.set_own(OWN_SECRET, &client.secret);
            store.set_own(OWN_KEY, &key);
            let tenant = tenant_of(&options);
            let host = options.domain.as_deref().unwrap_or(tenant);
            let names = populate::Names { tenant, host, client: &client };
            populate::fresh(&world, &mut store, &names)?;
            if let Some(seed) = &options.seed {
                for document in preload::read(seed)? {
                    preload::apply(&world, &mut store, &document);
                }
            }
            if options.users > 0 {
                populate::people(&world, &mut store, &names, options.users)?;
            }
        }
        // Only now: a tenant that was filled in part must not be taken for a whole one.
        if let Some(folder) = &options.data {
            store.keep(folder)?;
        }
        store.index(world.indexes());
        let scopes = options.scopes.clone().unwrap_or_else(|| {
            let mut scopes = world.routes.scopes();
            let hidden = world.rules.values().flat_map(|rules| rules.scoped.values().cloned());
            scopes.extend(hidden.collect::<std::collections::BTreeSet<_>>());
            scopes.push(events::SCOPE.to_owned());
            scopes
        });
        let told = world.catalog.iter().filter(|resource| resource.event.is_some());
        store.watch(told.map(|resource| resource.table.clone()).collect());
        let news = watch::Sender::new(store.events().last());
        let scopes = scopes.into_iter().filter(|scope| !options.withheld.contains(scope)).collect();
        let limits = world.plan.clone().map(Limits::new);
        let state = Mutex::new(State { store, faults: Faults::default(), calls: BTreeMap::new(), limits });
        let (seats, stopping) = (Arc::default(), CancellationToken::new());
        let shared = Shared {
            world,
            client,
            options,
            key,
            scopes,
            state,
            node: Node::default(),
            events: news,
            seats,
            stopping,
        };
        Ok(Emulator { shared: Arc::new(shared) })
    }

    /// The machine-to-machine client of the tenant.
    pub fn client(&self) -> &Credentials {
        &self.shared.client
    }

    /// Serves the tenant until `shutdown` completes.
    ///
    /// # Errors
    /// `io`: the socket failed.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let jobs = exports::work(Arc::clone(&self.shared));
        let imports = imports::work(Arc::clone(&self.shared));
        let pushes = events::push(Arc::clone(&self.shared));
        let stopping = self.shared.stopping.clone();
        let shutdown = async move {
            shutdown.await;
            stopping.cancel();
        };
        let service = Router::new().fallback(answer).with_state(self.shared);
        let service = service.into_make_service_with_connect_info::<Caller>();
        let served = axum::serve(Socket(listener), service).with_graceful_shutdown(shutdown);
        tokio::select! {
            served = served.into_future() => {
                served.map_err(|error| Error::with(Kind::Io, "the emulator's socket failed", error))
            }
            () = jobs => Ok(()),
            () = imports => Ok(()),
            () = pushes => Ok(()),
        }
    }
}

fn tenant_of(options: &Options) -> &str {
    options.domain.as_deref().map_or("emulator", tenant_name)
}

impl State {
    /// Takes a call out of the buckets: what its answer says of them, or the 429.
    pub(super) fn limit(&mut self, group: Option<&str>, now: DateTime<Utc>) -> Result<Headers, Answer> {
        let limits = self.limits.as_mut().map(|limits| limits.take(group, seconds(now)));
        Ok(limits.transpose()?.unwrap_or_default())
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A request that panicked changed nothing that a later one cannot see.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the tenant and keeps that; what is refused changes nothing that was not kept.
    pub(super) fn change<T>(
        &self,
        request: &Request,
        work: impl FnOnce(&World, &mut Store) -> std::result::Result<T, Problem>,
    ) -> std::result::Result<T, Problem> {
        let mut state = self.state();
        let done = work(&self.world, &mut state.store);
        self.keep(&mut state, request)?;
        done
    }

    /// Keeps what a request has changed, and tells those who follow the events.
    fn keep(&self, state: &mut State, request: &Request) -> std::result::Result<(), Problem> {
        let teller = events::Teller { host: &request.host, tenant: &request.tenant, now: request.now };
        events::note(&self.world, &mut state.store, teller, &self.options.events);
        state.store.commit().map_err(|error| {
            tracing::error!(%error, "the emulator cannot keep its state");
            Problem::plain(500, "Internal Server Error")
        })?;
        self.events.send_replace(state.store.events().last());
        Ok(())
    }
}

async fn answer(
    Shares(shared): Shares<Arc<Shared>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    request: axum::extract::Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let own = path.strip_prefix(CONTROL);
    let largest = if own.is_some() { LARGEST_DOCUMENT } else { LARGEST_BODY };
    let fault = match own {
        Some(_) => None,
        None => shared.state().faults.take(parts.method.as_str(), path),
    };
    let read = to_bytes(body, largest).await;
    let response = match (read, &fault) {
        (Ok(body), Some(Fault::DropLate(delay))) => {
            let (shared, caller) = (Arc::clone(&shared), caller.clone());
            interrupt::later(*delay, move || drop(run(&shared, &caller, &parts, &body, None)));
            respond(Answer::empty(503))
        }
        (_, Some(Fault::DropBefore)) => respond(Answer::empty(503)),
        (_, Some(Fault::Status(status, body))) => {
            let usual = Answer::from(Problem::plain(*status, "A fault that was asked for"));
            respond(Answer { body: body.clone().or(usual.body), ..Answer::empty(*status) })
        }
        (Err(_), _) => {
            let what = format!("Payload content length greater than maximum allowed: {largest}");
            respond(Problem::plain(413, what).into())
        }
        (Ok(body), _) => {
            if let Some(Fault::Delay(delay)) = &fault {
                tokio::time::sleep(*delay).await;
            }
            if own.is_none() && !shared.options.latency.is_zero() {
                tokio::time::sleep(shared.options.latency).await;
            }
            if parts.method == Method::GET && path == events::PATH {
                return events::subscribe(&shared, caller, &parts);
            }
            let response = match own.and_then(Deed::of).filter(|_| parts.method == Method::POST) {
                Some(deed) => {
                    let request = request_of(&shared, &caller, &parts, None);
                    respond(runtime::simulate(&shared, &request, deed, &body).await)
                }
                None if path.starts_with(exports::PATH) => exports::serve(&shared, &parts),
                None => respond(run(&shared, &caller, &parts, &body, fault.as_ref())),
            };
            if let Some(Fault::DelayAfter(delay)) = &fault {
                tokio::time::sleep(*delay).await;
            }
            response
        }
    };
    if matches!(fault, Some(Fault::DropBefore | Fault::DropLate(_) | Fault::DropAfter)) {
        caller.cut();
    }
    match fault {
        Some(Fault::Cut(bytes)) => interrupt::after(response, bytes, None, caller),
        Some(Fault::Stall(bytes, pause)) => interrupt::after(response, bytes, Some(pause), caller),
        _ => response,
    }
}

pub(super) fn respond(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = axum::http::StatusCode::from_u16(answer.status).unwrap_or_default();
    if let Some(body) = answer.body {
        *response.body_mut() = Body::from(body.to_string());
        let json = header::HeaderValue::from_static("application/json; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
    }
    for (name, value) in answer.headers {
        if let Ok(value) = header::HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn request_of(shared: &Shared, caller: &Caller, parts: &Parts, fault: Option<&Fault>) -> Request {
    let headers = &parts.headers;
    let query = parts.uri.query().unwrap_or_default();
    Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().strip_prefix(API).unwrap_or_default().to_owned(),
        query: serde_urlencoded::from_str(query).unwrap_or_default(),
        body: None,
        // The emulator's own calls see everything; others get what their token says.
        claims: Claims {
            client_id: shared.client.id.clone(),
            scopes: shared.scopes.clone(),
            id: String::new(),
        },
        host: text(headers, "host").unwrap_or("localhost").to_owned(),
        tenant: tenant_of(&shared.options).to_owned(),
        correlation: text(headers, "x-correlation-id").map(str::to_owned),
        agent: text(headers, "user-agent").unwrap_or_default().to_owned(),
        ip: caller.address.ip().to_string(),
        now: Utc::now(),
        job_fault: match fault {
            Some(Fault::Job(fault)) => Some(fault.clone()),
            _ => None,
        },
    }
}

fn run(shared: &Shared, caller: &Caller, parts: &Parts, body: &Bytes, fault: Option<&Fault>) -> Answer {
    let headers = &parts.headers;
    let mut request = request_of(shared, caller, parts, fault);
    let mut state = shared.state();
    let state = &mut *state;
    let answer = match parts.uri.path() {
        TOKEN if request.method == "POST" => {
            count(state, "POST", TOKEN);
            let limits = state.limits.as_mut().map(|limits| limits.take_token(seconds(request.now)));
            if let Some(Err(refused)) = limits {
                return refused;
            }
            let credentials = text(headers, "authorization");
            grant(
                shared,
                state,
                &request,
                text(headers, "content-type").unwrap_or_default(),
                credentials,
                body,
            )
        }
        path => match path.strip_prefix(CONTROL) {
            Some(own) => control::run(shared, state, &request, own, body),
            None => manage(shared, state, &mut request, headers, body),
        },
    };
    match shared.keep(state, &request) {
        Ok(()) => answer,
        Err(problem) => problem.into(),
    }
}

/// A moment in UNIX seconds.
fn seconds(now: DateTime<Utc>) -> f64 {
    now.timestamp_micros() as f64 / 1e6
}

pub(super) fn count(state: &mut State, method: &str, path: &str) {
    *state.calls.entry(format!("{method} {path}")).or_default() += 1;
}

/// One call of the Management API: known, within the limits, allowed, well formed, then run.
fn manage(
    shared: &Shared,
    state: &mut State,
    request: &mut Request,
    headers: &HeaderMap,
    body: &Bytes,
) -> Answer {
    let authorization = text(headers, "authorization");
    let content_type = text(headers, "content-type").unwrap_or_default();
    let Some((route, values)) = shared.world.routes.find(&request.method, &request.path) else {
        return Problem::plain(404, "Not Found").into();
    };
    count(state, &route.method, &route.path);
    let group =
        shared.world.limits.group(&request.method, &request.path, |name| request.param(name).is_some());
    let figures = match state.limit(group, request.now) {
        Ok(headers) => headers,
        Err(refused) => return refused,
    };
    let mut answer = match token::check(&shared.key, authorization, request.now.timestamp()) {
        Err(problem) => problem.into(),
        Ok(claims) if !claims.allow(&route.scopes) => {
            let what = format!("Insufficient scope, expected any of: {}", route.scopes.join(","));
            Problem::new(403, what, "insufficient_scope").into()
        }
        Ok(claims) => {
            request.claims = claims;
            match parse(content_type, body) {
                Err(problem) => problem.into(),
                Ok(body) => {
                    request.body = body;
                    let call = Incoming { world: &shared.world, request, route, values: &values };
                    calls::run(&mut state.store, call)
                }
            }
        }
    };
    answer.headers.extend(figures);
    answer
}

/// The JSON of a body; nothing and a literal `null` are the same.
fn parse(content_type: &str, body: &Bytes) -> std::result::Result<Option<serde_json::Value>, Problem> {
    if let Some(boundary) = multipart::boundary(content_type) {
        let parts = multipart::parse(boundary, body);
        return parts.map(Some).ok_or_else(|| Problem::plain(400, "Invalid multipart payload format"));
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let value: serde_json::Value = serde_json::from_slice(body)
        .map_err(|_| Problem::plain(400, "Invalid request payload JSON format"))?;
    Ok(Some(value).filter(|value| !value.is_null()))
}

/// `POST /oauth/token`.
fn grant(
    shared: &Shared,
    state: &State,
    request: &Request,
    content_type: &str,
    authorization: Option<&str>,
    body: &[u8],
) -> Answer {
    let Some(fields) = token::request(content_type, authorization, body) else {
        return token::refused(
            400,
            "invalid_request",
            "The request body is neither a form nor a JSON object",
        );
    };
    let field = |name: &str| fields[name].as_str().unwrap_or_default();
    match field("grant_type") {
        "client_credentials" => {}
        "" => return token::refused(400, "invalid_request", "Missing required parameter: grant_type"),
        other => {
            let what = format!("Grant type '{other}' not allowed for the client.");
            return token::refused(403, "unauthorized_client", what);
        }
    }
    let id = field("client_id");
    let machine = id == shared.client.id && field("client_secret") == shared.client.secret;
    let row = state.store.get(clients::TABLE, id);
    let known =
        row.and_then(|row| row.text(clients::SECRET)).is_some_and(|secret| secret == field("client_secret"));
    if !machine && !known {
        return token::refused(401, "access_denied", "Unauthorized");
    }
    let audience = field("audience");
    let hosts = [Some(request.host.as_str()), shared.options.domain.as_deref()];
    let ours = hosts
        .into_iter()
        .flatten()
        .any(|host| ["https", "http"].iter().any(|scheme| audience == format!("{scheme}://{host}{API}/")));
    if !ours {
        return token::refused(403, "access_denied", format!("Service not found: {audience}"));
    }
    let scopes = shared.scopes.iter().filter(|scope| state.faults.grant(scope)).cloned().collect();
    let claims = Claims { client_id: id.to_owned(), scopes, id: ids::word(22) };
    let lifetime = shared.options.token_lifetime.as_secs();
    let token = token::sign(&shared.key, &claims, audience, request.now.timestamp(), lifetime);
    Answer::new(
        200,
        serde_json::json!({
            "access_token": token,
            "scope": claims.scopes.join(" "),
            "expires_in": lifetime,
            "token_type": "Bearer",
        }),
    )
}
