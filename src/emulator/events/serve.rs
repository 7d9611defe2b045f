//! `GET /events`: who may subscribe, and the answer that does not end.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, header};
use chrono::{TimeDelta, Utc};
use tokio::time::Instant;

use super::params::{self, Asked};
use super::stream::Flow;
use super::{PATH, SCOPE};
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::server::{Shared, count, respond, text};
use crate::emulator::socket::Caller;
use crate::emulator::token;

/// How many streams there are, shared by all of them.
type Seats = Arc<AtomicUsize>;

/// The right to one of the streams that the tenant's plan allows; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Seat(Seats);

impl Seat {
    fn take(seats: &Seats, most: usize) -> Option<Seat> {
        let more = |taken: usize| (taken < most).then_some(taken + 1);
        seats.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok().map(|_| Seat(Arc::clone(seats)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How many streams a plan has at a time.
fn most(plan: Option<&str>) -> usize {
    match plan {
        Some("free") => 1,
        Some(plan) if plan.starts_with("essentials") || plan.starts_with("professional") => 4,
        _ => 8,
    }
}

/// Answers a subscription.
pub(in crate::emulator) fn subscribe(shared: &Arc<Shared>, caller: Caller, parts: &Parts) -> Response<Body> {
    match admit(shared, parts) {
        Err(answer) => respond(answer),
        Ok((asked, seat, ends)) => {
            let flow = Flow::new(Arc::clone(shared), caller, asked, seat, ends);
            let flow = futures_util::stream::unfold(flow, async |mut flow| {
                let chunk = flow.next().await?;
                Some((Ok::<_, Infallible>(chunk), flow))
            });
            let mut response = Response::new(Body::from_stream(flow));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            response
        }
    }
}

fn admit(shared: &Shared, parts: &Parts) -> Result<(Asked, Seat, Instant), Answer> {
    let now = Utc::now();
    let mut state = shared.state();
    count(&mut state, "GET", PATH.trim_start_matches("/api/v2"));
    let group = shared.world.limits.group("GET", PATH.trim_start_matches("/api/v2"), |_| false);
    state.limit(group, now)?;
    let authorization = text(&parts.headers, "authorization");
    let claims = token::check(&shared.key, authorization, now.timestamp())?;
    if !claims.allow(&[SCOPE]) {
        let what = format!("Insufficient scope, expected any of: {SCOPE}");
        return Err(Problem::new(403, what, "insufficient_scope").into());
    }
    let query: Vec<(String, String)> =
        serde_urlencoded::from_str(parts.uri.query().unwrap_or_default()).unwrap_or_default();
    let known: HashSet<&str> = shared.world.catalog.event_types().collect();
    let options = shared.options.events;
    let retention = TimeDelta::from_std(options.retention).unwrap_or(TimeDelta::MAX);
    if let Some(oldest) = now.checked_sub_signed(retention) {
        state.store.events_mut().forget(oldest.timestamp_millis());
    }
    let last = text(&parts.headers, "last-event-id").filter(|id| !id.is_empty());
    let asked = params::read(&query, last, |name| known.contains(name), state.store.events())?;
    let seat = Seat::take(&shared.seats, most(shared.world.plan.as_ref().map(|plan| plan.name.as_str())))
        .ok_or_else(|| {
            let what =
                "Maximum concurrent event stream connections reached. Please close existing connections.";
            Problem::plain(403, what)
        })?;
    let token = token::end(authorization).map_or(0, |end| end - now.timestamp());
    let token = Duration::from_secs(u64::try_from(token).unwrap_or_default());
    Ok((asked, seat, Instant::now() + options.connection.min(token)))
}
