//! What goes wrong meanwhile: answers, connections, and every process of the three.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::support::{Stand, wait_until};
use crate::tally::Tally;

/// Between two troubles, milliseconds.
const PAUSE: std::ops::Range<u64> = 200..1_800;
/// Between two kills so many statements of clients return at most, now and then so many more, and no
/// longer than this is waited for them.
const WRITES: u64 = 12;
const MORE: u64 = 40;
const NO_LONGER: Duration = Duration::from_secs(3);

/// What goes wrong with the stream of events.
const EVENT_FAULTS: [&str; 6] =
    ["events_drop", "events_duplicate", "events_disorder", "events_delay", "events_stall", "events_error"];

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Much {
    /// Troubles of every kind for so long.
    Time(Duration),
    /// So many kills of processes, with faults between them.
    Kills(u64),
}

impl Much {
    /// Between two writes of a client, and of a writer at Auth0: what an unoptimized service keeps up with
    /// under faults, and where it is away much of the time.
    pub(crate) fn paces(self) -> (Duration, Duration) {
        let [client, writer] = match self {
            Much::Time(_) => [100, 50],
            Much::Kills(_) => [150, 150],
        };
        (Duration::from_millis(client), Duration::from_millis(writer))
    }
}

/// A process of the three.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whom {
    Service,
    Emulator,
    Postgres,
}

/// Makes one trouble after the other.
pub(crate) async fn make(stand: &mut Stand, seed: u64, much: Much, tally: &Tally) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut waits = true;
    match much {
        Much::Time(length) => {
            let begun = Instant::now();
            while begun.elapsed() < length {
                let pause = Duration::from_millis(rng.random_range(PAUSE));
                let mut pace = tokio::time::interval(pause);
                pace.tick().await;
                pace.tick().await;
                alive(stand);
                let whom = match rng.random_range(0..100) {
                    0..16 => Some(Whom::Service),
                    16..24 => Some(Whom::Emulator),
                    24..30 => Some(Whom::Postgres),
                    _ => None,
                };
                match whom {
                    Some(whom) => kill(stand, &mut rng, &[whom], pause, &mut waits, tally).await,
                    None => order(stand, &mut rng, tally).await,
                }
            }
        }
        Much::Kills(kills) => {
            for _ in 0..kills {
                // Under load: something has been written since the last one.
                let more = if rng.random_bool(0.2) { MORE } else { 0 };
                let until = tally.statements() + rng.random_range(1..WRITES) + more;
                let begun = Instant::now();
                let written = async || tally.statements() >= until || begun.elapsed() > NO_LONGER;
                wait_until("clients write", NO_LONGER * 2, written).await;
                alive(stand);
                if rng.random_bool(0.4) {
                    order(stand, &mut rng, tally).await;
                }
                let whom: &[Whom] = match rng.random_range(0..100) {
                    0..60 => &[Whom::Service],
                    60..75 => &[Whom::Emulator],
                    75..90 => &[Whom::Postgres],
                    90..95 => &[Whom::Service, Whom::Emulator],
                    _ => &[Whom::Postgres, Whom::Service],
                };
                let pause = Duration::from_millis(rng.random_range(1..100));
                kill(stand, &mut rng, whom, pause, &mut waits, tally).await;
            }
        }
    }
    if !waits {
        stand.until_ready().await;
    }
}

fn alive(stand: &mut Stand) {
    let service = stand.service.as_mut().unwrap();
    assert!(service.runs(), "the service has ended by itself:\n{}", service.log());
}

/// Kills them, and starts them again after a pause.
async fn kill(
    stand: &mut Stand,
    rng: &mut StdRng,
    whom: &[Whom],
    pause: Duration,
    waits: &mut bool,
    tally: &Tally,
) {
    for whom in whom {
        match whom {
            Whom::Service => {
                tally.add("trouble: the service is killed");
                stand.kill_service().await;
            }
            Whom::Emulator => {
                tally.add("trouble: the emulator is killed");
                stand.emulator.program.kill().await;
            }
            Whom::Postgres => {
                tally.add("trouble: Postgres is killed");
                stand.postgres.kill();
            }
        }
    }
    if whom != [Whom::Service] {
        let mut pace = tokio::time::interval(pause);
        pace.tick().await;
        pace.tick().await;
    }
    if whom.contains(&Whom::Emulator) {
        stand.emulator.restart().await;
    }
    if whom.contains(&Whom::Postgres) {
        stand.postgres.restart();
    }
    if whom.contains(&Whom::Service) {
        stand.launch_service();
        // Some are killed before they are ready.
        *waits = rng.random_bool(0.7);
        if *waits {
            stand.until_ready().await;
        }
    }
}

/// Orders something that goes wrong with calls, or with events.
async fn order(stand: &Stand, rng: &mut StdRng, tally: &Tally) {
    let (what, order) = fault(rng);
    tally.add(&format!("trouble: {what}"));
    stand.emulator.fault(order).await;
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
