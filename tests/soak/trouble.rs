//! What goes wrong meanwhile: answers, connections, and every process of the three.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::support::Stand;
use crate::tally::Tally;

/// Between two troubles, milliseconds.
const PAUSE: std::ops::Range<u64> = 200..1_800;

/// What goes wrong with the stream of events.
const EVENT_FAULTS: [&str; 6] =
    ["events_drop", "events_duplicate", "events_disorder", "events_delay", "events_stall", "events_error"];

/// Makes one trouble after the other for so long.
pub(crate) async fn make(stand: &mut Stand, seed: u64, length: Duration, tally: &Tally) {
    let mut rng = StdRng::seed_from_u64(seed);
    let begun = Instant::now();
    let mut waits = true;
    while begun.elapsed() < length {
        let pause = Duration::from_millis(rng.random_range(PAUSE));
        let mut pace = tokio::time::interval(pause);
        pace.tick().await;
        pace.tick().await;
        let service = stand.service.as_mut().unwrap();
        assert!(service.runs(), "the service has ended by itself:\n{}", service.log());
        match rng.random_range(0..100) {
            0..16 => {
                tally.add("trouble: the service is killed");
                stand.kill_service().await;
                stand.launch_service();
                // Some are killed before they are ready.
                waits = rng.random_bool(0.7);
                if waits {
                    stand.until_ready().await;
                }
            }
            16..24 => {
                tally.add("trouble: the emulator is killed");
                stand.emulator.program.kill().await;
                pace.tick().await;
                stand.emulator.restart().await;
            }
            24..30 => {
                tally.add("trouble: Postgres is killed");
                stand.postgres.kill();
                pace.tick().await;
                stand.postgres.restart();
            }
            _ => {
                let (what, order) = fault(&mut rng);
                tally.add(&format!("trouble: {what}"));
                stand.emulator.fault(order).await;
            }
        }
    }
    if !waits {
        stand.until_ready().await;
    }
}

/// Something that goes wrong with calls.
fn fault(rng: &mut StdRng) -> (String, Value) {
    let method = ["GET", "POST", "PATCH", "DELETE"][rng.random_range(0..4)];
    let times = rng.random_range(1..6);
    let matches = json!({"method": method, "path": "^/api/"});
    match rng.random_range(0..18) {
        0..2 => {
            let order =
                json!({"match": {"path": "^/api/"}, "times": times * 3, "do": "status", "status": 429});
            ("answers with 429".to_owned(), order)
        }
        2..4 => {
            let status = [500, 502, 503, 504][rng.random_range(0..4)];
            let order = json!({"match": matches, "times": times, "do": "status", "status": status});
            (format!("answers to {method} with 5xx"), order)
        }
        4..7 => {
            let order = json!({"match": matches, "times": times, "do": "drop_before"});
            (format!("{method} is cut before it is done"), order)
        }
        7..10 => {
            let order = json!({"match": matches, "times": times, "do": "drop_after"});
            (format!("{method} is cut after it is done"), order)
        }
        10 => {
            let delay = rng.random_range(50..1_500);
            let order = json!({"match": matches, "times": times, "do": "delay_after", "delay_ms": delay});
            (format!("answers to {method} come late"), order)
        }
        11 => {
            let order = json!({"match": {"path": "^/oauth/"}, "times": times, "do": "status", "status": 503});
            ("answers to token requests with 503".to_owned(), order)
        }
        _ => {
            let what = EVENT_FAULTS[rng.random_range(0..EVENT_FAULTS.len())];
            let mut order = json!({"times": times, "do": what, "delay_ms": rng.random_range(50..1_500)});
            if what == "events_error" {
                order["code"] =
                    ["timeout", "processing_error", "connection_timeout"][rng.random_range(0..3)].into();
            }
            (format!("{what} of the event stream"), order)
        }
    }
}
