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

/// The Management API of one tenant. Clones share connections, token and budget.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    api: String,
    token: Arc<Token>,
    budget: Budget,
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
        let budget = Budget::new(settings)?;
        let token = Arc::new(Token::new(settings, http.clone(), budget.clone()));
        let api = format!("{}/api/v2", settings.root());
        Ok(Client(Arc::new(Inner { http, api, token, budget })))
    }

    /// The scopes that the application was granted; asks for a token where none is held.
    pub async fn scopes(&self) -> Result<Vec<String>> {
        Ok(self.0.token.get().await?.scopes().to_vec())
    }

    /// Makes one call, after waiting for the budget. A 401 replaces the token and the call is made
    /// once more; nothing else is repeated.
    pub async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let mut fresh = false;
        loop {
            // Whoever has no token need not wait for the budget; who had to wait takes the newest.
            self.0.token.get().await?;
            let mut permit = self.permit(request).await;
            let grant = self.0.token.get().await?;
            permit.leaves();
            let result = exchange(self.build(request, &grant)).await;
            let now = Now::read();
            if let Ok(wire) = &result {
                permit.answered(wire.status, &wire.headers, now);
                if wire.status == 401 && !fresh {
                    self.0.token.invalidate(&grant);
                    fresh = true;
                    continue;
                }
            }
            return answer(&request.method, result, now);
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

    /// The budget that every call waits for.
    pub fn budget(&self) -> &Budget {
        &self.0.budget
    }

    /// Waits until a call of one's own making (a stream) may leave; tell the permit how it was answered.
    pub async fn permit(&self, request: &Request) -> Permit {
        self.0.budget.permit(request.lane, &request.method, &request.path, &request.query).await
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
