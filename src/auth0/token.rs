//! The access token: asked for once for everybody, renewed before it ends, dropped when refused.
//! It never shows the token or the secret in a log or an error.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use url::Url;

use super::budget::{Budget, DEFAULT_HOLD, hold};
use super::outcome::{Failure, Outcome, Refusal};
use super::settings::Settings;
use super::transport::{Now, TransportError, Wire, exchange};
use crate::error::Kind;

/// A renewal that failed is tried again after this, while the token still holds.
const RENEW_AGAIN: Duration = Duration::from_secs(10);
/// A token is renewed this long before its end, or at four fifths of its life, whichever is later.
const BEFORE_END: Duration = Duration::from_secs(300);
/// A token that may not say any more what the application may do is renewed, once it is so old.
const DOUBTED_AFTER: Duration = Duration::from_secs(30);
/// Auth0's default lifetime, where the answer does not tell.
const DEFAULT_LIFE: u64 = 86_400;

/// A token as granted.
pub(super) struct Grant {
    authorization: HeaderValue,
    scopes: Vec<String>,
    asked: Instant,
    renew_at: Instant,
    expires_at: Instant,
}

impl Grant {
    /// Puts the token on a request.
    pub(super) fn authorize(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request.header(AUTHORIZATION, self.authorization.clone())
    }

    /// What the application was granted.
    pub(super) fn scopes(&self) -> &[String] {
        &self.scopes
    }
}

type Granted = Result<Arc<Grant>, Outcome>;

/// The source of tokens of one application.
pub(super) struct Token {
    http: reqwest::Client,
    url: String,
    audience: String,
    client_id: String,
    client_secret: SecretString,
    /// Counts the requests.
    budget: Budget,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    grant: Option<Arc<Grant>>,
    /// The request under way, or the last one.
    flight: Option<Shared<BoxFuture<'static, Granted>>>,
    /// No renewal before this: the last one failed.
    not_before: Option<Instant>,
    /// The application may have got or lost scopes since.
    doubted: bool,
}

#[derive(Deserialize)]
struct Granting {
    access_token: SecretString,
    expires_in: Option<u64>,
    scope: Option<String>,
}

impl Token {
    pub(super) fn new(settings: &Settings, http: reqwest::Client, budget: Budget) -> Self {
        Token {
            http,
            url: format!("{}/oauth/token", settings.root()),
            audience: settings.audience(),
            client_id: settings.client_id.clone(),
            client_secret: settings.client_secret.clone(),
            budget,
            state: Mutex::default(),
        }
    }

    /// A token that holds. Who comes while one is asked for waits for the same request; who comes
    /// while one is renewed takes the old one. The error says what it means for the call at hand,
    /// which has not left.
    pub(super) async fn get(self: &Arc<Self>) -> Result<Arc<Grant>, Failure> {
        let flight = {
            let (mut state, now) = (self.lock(), Instant::now());
            let held = state.grant.clone().filter(|grant| now < grant.expires_at);
            let not_before = state.not_before.unwrap_or(now);
            if let Some(grant) = &held
                && (now < not_before || (now < grant.renew_at && !state.doubted))
            {
                return Ok(Arc::clone(grant));
            }
            let under_way = state.flight.take().filter(|flight| flight.peek().is_none());
            let flight = state.flight.insert(under_way.unwrap_or_else(|| self.launch())).clone();
            if let Some(grant) = held {
                return Ok(grant);
            }
            flight
        };
        flight.await.map_err(|outcome| Failure { outcome, method: Method::POST })
    }

    /// Drops this token, and only this one: another caller may have replaced it already.
    pub(super) fn invalidate(&self, refused: &Arc<Grant>) {
        let mut state = self.lock();
        state.grant.take_if(|grant| Arc::ptr_eq(grant, refused));
    }

    /// The application's scopes may have changed since this token was granted: it is renewed, while it is used
    /// still, though not too often.
    pub(super) fn doubt(&self, refused: &Arc<Grant>) {
        let mut state = self.lock();
        let current = state.grant.as_ref().is_some_and(|grant| Arc::ptr_eq(grant, refused));
        state.doubted |= current && refused.asked.elapsed() >= DOUBTED_AFTER;
    }

    /// The request runs as a task of its own, so that it ends whoever stops waiting for it.
    fn launch(self: &Arc<Self>) -> Shared<BoxFuture<'static, Granted>> {
        let token = Arc::clone(self);
        let task = tokio::spawn(async move {
            let granted = token.ask().await;
            let mut state = token.lock();
            match &granted {
                Ok(grant) => {
                    state.grant = Some(Arc::clone(grant));
                    state.not_before = None;
                    state.doubted = false;
                }
                Err(_) => state.not_before = Some(Instant::now() + RENEW_AGAIN),
            }
            granted
        });
        let flight = task.map(|joined| joined.unwrap_or_else(|error| Err(unusable(error.to_string()))));
        flight.boxed().shared()
    }

    async fn ask(&self) -> Granted {
        // The life counts from before the request: the answer may have been on its way for long.
        let asked = Instant::now();
        let request = self.http.post(&self.url).json(&json!({
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret.expose_secret(),
            "audience": self.audience,
        }));
        self.budget.token_asked();
        let wire = exchange(request).await;
        let granting = read(&wire, &self.url, &self.audience, Now::read())?;
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {}", granting.access_token.expose_secret()))
                .map_err(|_| unusable("the token endpoint answered a token that is no header value"))?;
        authorization.set_sensitive(true);
        let life = Duration::from_secs(granting.expires_in.unwrap_or(DEFAULT_LIFE).max(1));
        let scopes = granting.scope.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        tracing::debug!(life = life.as_secs(), "Got an access token");
        Ok(Arc::new(Grant {
            authorization,
            scopes,
            asked,
            renew_at: asked + renew_after(life),
            expires_at: asked + life,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a token is renewed: late in a long life, with a fifth left of a short one.
fn renew_after(life: Duration) -> Duration {
    (life * 4 / 5).max(life.saturating_sub(BEFORE_END))
}

fn unusable(reason: impl Into<String>) -> Outcome {
    Outcome::NeverLeft { kind: Kind::Auth0Answer, reason: reason.into() }
}

/// What the token endpoint's answer means for the call that needs the token. By status: 401 is
/// said of the credentials, 403 of what the application may ask for.
fn read(
    wire: &Result<Wire, TransportError>,
    url: &str,
    audience: &str,
    now: Now,
) -> Result<Granting, Outcome> {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let never_left = |kind, reason| Err(Outcome::NeverLeft { kind, reason });
    let wire = match wire {
        Ok(wire) => wire,
        Err(error) => {
            let reason = format!("cannot get a token from {host}: {}", error.reason());
            return never_left(Kind::Auth0Unreachable, reason);
        }
    };
    let refusal = Refusal::read(wire.status, &wire.body);
    match wire.status {
        200..=299 => serde_json::from_slice(&wire.body)
            .map_err(|_| unusable(format!("{host} answered something else than a token"))),
        401 => Err(Outcome::Blocked {
            kind: Kind::Auth0Credentials,
            message: format!("{host} does not accept client id and secret: {refusal}"),
        }),
        403 => Err(Outcome::Blocked {
            kind: Kind::Auth0Token,
            message: format!("the application is not authorized for {audience}: {refusal}"),
        }),
        404 => never_left(
            Kind::Auth0Unreachable,
            format!("{host} has no token endpoint: is this the domain of the tenant? ({refusal})"),
        ),
        429 => Err(Outcome::Throttled {
            until: now.instant + hold(&wire.headers, now.unix).unwrap_or(DEFAULT_HOLD),
        }),
        500..=599 => never_left(Kind::Auth0Server, format!("the token endpoint answered {refusal}")),
        400..=499 => Err(Outcome::Blocked {
            kind: Kind::Auth0Credentials,
            message: format!("{host} refused to give a token: {refusal}"),
        }),
        _ => Err(unusable(format!("the token endpoint answered {refusal}"))),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    #[test]
    fn renewal_leaves_time_and_suits_short_lives() {
        let renewed = |life| renew_after(Duration::from_secs(life)).as_secs();
        assert_eq!(renewed(86_400), 86_100);
        assert_eq!(renewed(600), 480);
        assert_eq!(renewed(10), 8);
        assert_eq!(renewed(1), 0);
    }

    fn refused(status: u16, body: &'static str) -> Outcome {
        let wire = Wire { status, headers: HeaderMap::new(), body: body.into() };
        read(&Ok(wire), "https://acme.auth0.com/oauth/token", "https://acme.auth0.com/api/v2/", Now::read())
            .err()
            .unwrap()
    }

    #[test]
    fn what_is_wrong_with_the_credentials_is_told_apart() {
        let kind = |status| Failure { outcome: refused(status, "{}"), method: Method::POST }.kind();
        assert_eq!(kind(401), Kind::Auth0Credentials);
        assert_eq!(kind(403), Kind::Auth0Token);
        assert_eq!(kind(404), Kind::Auth0Unreachable);
        assert_eq!(kind(429), Kind::Auth0Throttled);
        assert_eq!(kind(503), Kind::Auth0Server);
        assert_eq!(kind(200), Kind::Auth0Answer);
    }

    #[test]
    fn auth0s_description_is_kept() {
        let body = r#"{"error":"access_denied","error_description":"Unauthorized"}"#;
        let Outcome::Blocked { message, .. } = refused(401, body) else { panic!("not blocked") };
        assert_eq!(message, "acme.auth0.com does not accept client id and secret: 401 Unauthorized");
    }
}
