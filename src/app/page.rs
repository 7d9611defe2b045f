//! What the status page shows of a running service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::SecondsFormat;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::writes;
use crate::auth0::{Budget, Lane};
use crate::error::{Error, Kind, Result};
use crate::ingest::{EventsShown, EventsState, Queue, Tally};
use crate::status::Source;
use crate::telemetry::metric;
use crate::writeback::Report;

/// The live state of one tenant's service.
pub(super) struct Page {
    pub(super) schema: String,
    pub(super) domain: String,
    pub(super) ready: AtomicBool,
    pub(super) streaming: AtomicBool,
    pub(super) writeback: watch::Receiver<Report>,
    pub(super) queue: Arc<Queue>,
    pub(super) webhook: Arc<Tally>,
    pub(super) budget: Budget,
    pub(super) events: Arc<EventsShown>,
    pub(super) recorder: PrometheusHandle,
}

impl Page {
    fn webhook(&self) -> Value {
        let report = self.webhook.report();
        json!({
            "messages": report.taken,
            "refused": report.refused,
            "last_message_at": report.last.map(|last| last.to_rfc3339_opts(SecondsFormat::Millis, true)),
            "in_place": report.deployed.as_ref().map(std::result::Result::is_ok),
            "error": report.deployed.and_then(std::result::Result::err),
        })
    }
}

/// The recorder of this process's metrics.
pub(super) fn recorder() -> Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .install_recorder()
        .map_err(|error| Error::with(Kind::Internal, "metrics cannot be recorded", error))
}

impl Page {
    fn budget_metrics(&self) {
        let (report, calls) = (self.budget.report(), self.budget.calls());
        let schema = || self.schema.clone();
        for (n, lane) in Lane::ALL.iter().enumerate() {
            let waiting = report.waiting.of_lane(*lane) as f64;
            metrics::gauge!(metric::BUDGET_WAITING, "schema" => schema(), "lane" => lane.as_str())
                .set(waiting);
            metrics::counter!(metric::CALLS, "schema" => schema(), "lane" => lane.as_str())
                .absolute(calls.by_lane[n]);
            metrics::counter!(metric::THROTTLED, "schema" => schema(), "lane" => lane.as_str())
                .absolute(calls.throttled[n]);
        }
        for bucket in report.buckets {
            metrics::gauge!(metric::BUDGET_AVAILABLE, "schema" => schema(), "bucket" => bucket.name)
                .set(bucket.available as f64);
        }
    }
}

impl Source for Page {
    fn status(&self) -> Value {
        let (writeback, queue) = (self.writeback.borrow().clone(), self.queue.report());
        json!({
            "schema": self.schema,
            "domain": self.domain,
            "ready": self.ready(),
            "streaming": self.streaming.load(Ordering::Relaxed),
            "writeback": {
                "held": writeback.held,
                "in_flight": writeback.in_flight,
                "settled": writeback.settled,
                "waiting_for": writeback.waiting_for.map(Kind::as_str),
                "hint": writeback.waiting_for.map(|kind| kind.policy().hint),
                "writes": writes::shown(&writeback),
            },
            "refetch": { "open": queue.open, "done": queue.done },
            "webhook": self.webhook(),
            "budget": self.budget.report(),
            "events": self.events.report(),
        })
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    fn metrics(&self) -> String {
        // Gauges are read when they are asked for.
        let (writeback, queue) = (self.writeback.borrow().clone(), self.queue.report());
        metrics::gauge!(metric::HELD, "schema" => self.schema.clone()).set(writeback.held as f64);
        metrics::gauge!(metric::IN_FLIGHT, "schema" => self.schema.clone()).set(writeback.in_flight as f64);
        metrics::counter!(metric::SETTLED, "schema" => self.schema.clone()).absolute(writeback.settled);
        metrics::gauge!(metric::REFETCH_OPEN, "schema" => self.schema.clone()).set(queue.open as f64);
        metrics::counter!(metric::REFETCHED, "schema" => self.schema.clone()).absolute(queue.done);
        self.budget_metrics();
        let events = self.events.report();
        let connected = f64::from(u8::from(events.state == EventsState::Connected));
        metrics::gauge!(metric::EVENTS_CONNECTED, "schema" => self.schema.clone()).set(connected);
        metrics::counter!(metric::EVENTS, "schema" => self.schema.clone()).absolute(events.events);
        let streaming = f64::from(u8::from(self.streaming.load(Ordering::Relaxed)));
        metrics::gauge!(metric::STREAMING, "schema" => self.schema.clone()).set(streaming);
        self.recorder.render()
    }
}
