//! Makes calls: token, gate, one attempt, outcome. It never tries a write twice, except where the
//! first attempt was answered 401.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;

use super::answer::{Answer, RateHeaders, link_next};
use super::budget::{Budget, Permit};
use super::outcome::{Failure, Outcome, decide};
use super::request::Request;
use super::settings::Settings;
use super::token::{Grant, Token};
use super::transport::{Now, TransportError, Wire, exchange};
use crate::error::{Error, Kind, Result};

/// A connection that the other side may have closed meanwhile makes outcomes unknown; so idle
/// ones are dropped well before servers do it.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// How many times a read waits for the rate limit before it gives up.
const READ_WAITS: usize = 10;
/// The longest that an answer without an end may last: whoever reads it watches over it.
const ENDLESS: Duration = Duration::from_secs(7 * 86_400);

/// The Management API of one tenant. Clones share connections, token and budget.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    /// For files of any length, from other hosts.
    files: reqwest::Client,
    api: String,
    token: Arc<Token>,
    budget: Budget,
    head_timeout: Duration,
}

impl Client {
    /// A client; nothing is sent yet.
    pub fn new(settings: &Settings) -> Result<Self> {
        settings.validate()?;
        let http = reqwest::Client::builder()
            .user_agent(&settings.user_agent)
            .timeout(settings.request_timeout)
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(POOL_IDLE)
            .redirect(Policy::none())
            .build()
            .map_err(|error| Error::with(Kind::Config, "cannot set up HTTPS", error))?;
        let files = reqwest::Client::builder()
            .user_agent(&settings.user_agent)
            .connect_timeout(settings.connect_timeout)
            .redirect(Policy::limited(5))
            .build()
            .map_err(|error| Error::with(Kind::Config, "cannot set up HTTPS", error))?;
        let budget = Budget::new(settings)?;
        let token = Arc::new(Token::new(settings, http.clone(), budget.clone()));
        let api = format!("{}/api/v2", settings.root());
        let head_timeout = settings.request_timeout;
        Ok(Client(Arc::new(Inner { http, files, api, token, budget, head_timeout })))
    }

    /// The scopes that the application was granted; asks for a token where none is held.
    pub async fn scopes(&self) -> Result<Vec<String>> {
        Ok(self.0.token.get().await?.scopes().to_vec())
    }

    /// Makes one call, after waiting for the budget. A 401 replaces the token and the call is made
    /// once more; nothing else is repeated.
    pub async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let mut renewed = false;
        loop {
            let (permit, grant) = self.leave(request).await?;
            let result = exchange(self.build(request, &grant)).await;
            let now = Now::read();
            if let Ok(wire) = &result {
                permit.answered(wire.status, &wire.headers, now);
                if self.renews(wire.status, &grant, &mut renewed) {
                    continue;
                }
            }
            let answer = answer(&request.method, result, now);
            if let Err(Failure { outcome: Outcome::Refused(refusal), .. }) = &answer
                && refusal.lacks_scope()
            {
                self.0.token.doubt(&grant);
            }
            return answer;
        }
    }

    /// Opens an answer that does not end; the head alone has a time limit.
    ///
    /// # Errors
    /// Any answer but a success.
    pub(super) async fn open(&self, request: &Request) -> Result<reqwest::Response, Failure> {
        let mut renewed = false;
        loop {
            let (permit, grant) = self.leave(request).await?;
            let sent = self.build(request, &grant).timeout(ENDLESS).send();
            let response = match tokio::time::timeout(self.0.head_timeout, sent).await {
                Ok(Ok(response)) => response,
                broken => {
                    let error = match broken {
                        Ok(Err(error)) => TransportError::from_reqwest(&error),
                        _ => TransportError::Timeout("no answer in time".to_owned()),
                    };
                    let outcome = decide(&request.method, &Err(error), Now::read());
                    return Err(Failure { outcome, method: request.method.clone() });
                }
            };
            let status = response.status().as_u16();
            permit.answered(status, response.headers(), Now::read());
            if response.status().is_success() {
                return Ok(response);
            }
            if self.renews(status, &grant, &mut renewed) {
                continue;
            }
            let headers = response.headers().clone();
            let body = tokio::time::timeout(self.0.head_timeout, response.bytes()).await;
            let body = body.ok().and_then(Result::ok).unwrap_or_default();
            let outcome = decide(&request.method, &Ok(Wire { status, headers, body }), Now::read());
            return Err(Failure { outcome, method: request.method.clone() });
        }
    }

    /// Makes one write and says what happened to it.
    pub async fn write(&self, request: &Request) -> Outcome {
        match self.send(request).await {
            Ok(answer) => Outcome::Applied(answer.body),
            Err(failure) => failure.outcome,
        }
    }

    /// Makes one read; where the rate limit refuses it all the same, it waits for the budget again, some times.
    pub async fn read(&self, request: &Request) -> Result<Answer> {
        let mut waits = 0;
        loop {
            match self.send(request).await {
                Ok(answer) => return Ok(answer),
                // The budget holds the next try back until the limit allows it.
                Err(Failure { outcome: Outcome::Throttled { .. }, .. }) if waits < READ_WAITS => waits += 1,
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    pub(super) fn files(&self) -> &reqwest::Client {
        &self.0.files
    }

    /// The budget that every call waits for.
    pub fn budget(&self) -> &Budget {
        &self.0.budget
    }

    /// Waits until a call of one's own making (a stream) may leave; tell the permit how it was answered.
    pub async fn permit(&self, request: &Request) -> Permit {
        self.0.budget.permit(request.lane, &request.method, &request.path, &request.query).await
    }

    /// Waits until the call may leave, and with which token.
    async fn leave(&self, request: &Request) -> Result<(Permit, Arc<Grant>), Failure> {
        // Whoever has no token need not wait for the budget; who had to wait takes the newest.
        self.0.token.get().await?;
        let mut permit = self.permit(request).await;
        let grant = self.0.token.get().await?;
        permit.leaves();
        Ok((permit, grant))
    }

    /// Whether the call is made once more, since its token was refused.
    fn renews(&self, status: u16, grant: &Arc<Grant>, renewed: &mut bool) -> bool {
        let renews = status == 401 && !*renewed;
        if renews {
            self.0.token.invalidate(grant);
            *renewed = true;
        }
        renews
    }

    fn build(&self, request: &Request, grant: &Grant) -> reqwest::RequestBuilder {
        let url = format!("{}{}", self.0.api, request.path);
        let mut builder = grant.authorize(self.0.http.request(request.method.clone(), url));
        if !request.query.is_empty() {
            builder = builder.query(&request.query);
        }
        if let Some(id) = request.correlation_id.as_deref().filter(|_| request.method != Method::GET) {
            builder = builder.header("X-Correlation-ID", id);
        }
        match (&request.upload, &request.body) {
            (Some(upload), fields) => {
                let boundary = format!("auth0-sync-{:032x}", rand::random::<u128>());
                let kind = format!("multipart/form-data; boundary={boundary}");
                builder.header(CONTENT_TYPE, kind).body(upload.body(fields.as_ref(), &boundary))
            }
            (None, Some(body)) => builder.json(body),
            (None, None) => builder,
        }
    }
}

fn answer(method: &Method, result: Result<Wire, TransportError>, now: Now) -> Result<Answer, Failure> {
    match (decide(method, &result, now), result) {
        (Outcome::Applied(body), Ok(wire)) => Ok(Answer {
            status: wire.status,
            body,
            rate: RateHeaders::read(&wire.headers),
            link_next: link_next(&wire.headers),
        }),
        (outcome, _) => Err(Failure { outcome, method: method.clone() }),
    }
}
