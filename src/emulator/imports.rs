//! Works off imports of users in the background. It never holds the tenant's lock for longer than a
//! slice of users; what is imported stands in [`super::quirks::imports`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;

use super::quirks::imports::{Order, PATH, go_on, open};
use super::server::Shared;
use super::tenant_name;
use super::token::Claims;
use super::world::Request;

/// Users that are imported at a time.
const SLICE: usize = 200;
/// How often a job that is held is looked at.
const HELD: Duration = Duration::from_millis(10);

/// Does the jobs that are there, and those that come; ends when it is dropped.
pub(super) async fn work(shared: Arc<Shared>) {
    // When a job that is held was first seen.
    let mut begun: HashMap<String, Instant> = HashMap::new();
    loop {
        let jobs = open(&shared.state().store);
        if jobs.is_empty() {
            begun.clear();
            shared.world.imports.notified().await;
            continue;
        }
        let mut moved = false;
        for (id, order) in jobs {
            let since = begun.entry(id.clone()).or_insert_with(Instant::now);
            if since.elapsed() < Duration::from_millis(order.holds_ms) {
                continue;
            }
            moved = true;
            let request = request(&shared, &order);
            let slice = |world: &_, store: &mut _| Ok(go_on(world, store, &request, &id, SLICE));
            // What cannot be kept has been told by whoever keeps it.
            let _ = shared.change(&request, slice);
            tokio::task::yield_now().await;
        }
        if !moved {
            tokio::time::sleep(HELD).await;
        }
    }
}

/// The request in whose name the users are made: the job's own.
fn request(shared: &Shared, order: &Order) -> Request {
    Request {
        method: "POST".to_owned(),
        path: PATH.to_owned(),
        query: Vec::new(),
        body: None,
        claims: Claims { client_id: shared.client.id.clone(), scopes: Vec::new(), id: String::new() },
        host: order.host.clone(),
        tenant: shared.options.domain.as_deref().map_or("emulator", tenant_name).to_owned(),
        correlation: None,
        agent: String::new(),
        ip: String::new(),
        now: Utc::now(),
        job_fault: None,
    }
}
