//! One tenant's service: everything it runs, started in the order that loses nothing.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Config;
use super::budget::note_budget;
use super::calls::count_calls;
use super::follow::fill_and_follow;
use super::mail::{Mailer, keep_telling};
use super::owner::Owner;
use super::page::{Page, recorder};
use super::pause;
use super::reading::reading;
use super::stream::stream;
use super::tasks::{forever, until, until_shutdown};
use super::tenant::{granted, selection_kept, tenant};
use super::{webhook, writes};
use crate::auth0::Client;
use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};
use crate::ingest::{self, Entries, EventsShown, Queue};
use crate::pg::to_read::ToRead;
use crate::pg::{connect, connect_with, digest_of};
use crate::retry::Delays;
use crate::writeback::{self, Dispatch, Report, Strict};
use crate::{status, wal};

/// Connections of the pool: workers of writeback, readers of ingest, and some to spare.
const SPARE_CONNECTIONS: u32 = 8;
const READERS: usize = 4;
const ARRIVALS: usize = 256;
/// Connections that answer strict statements; half of them are kept for one statement at a time.
const STRICT_CONNECTIONS: u32 = 8;

/// The service is ready: tables are filled, the stream is on.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// Where the status page is.
    pub status: SocketAddr,
}

/// What outlives the loss of the database: the address of the status page, the metrics, and who
/// waits to hear that the service is ready.
struct Standing {
    catalog: Arc<Catalog>,
    /// Where the tenant log is read, whether it is mirrored or not.
    entries: Entries,
    listener: std::net::TcpListener,
    /// Where Auth0 reports by itself, where that is configured.
    webhook: Option<std::net::TcpListener>,
    whole: Arc<Catalog>,
    address: SocketAddr,
    recorder: PrometheusHandle,
    ready: Announce,
}

/// Told once, however often the service starts anew.
pub(super) type Announce = Arc<Mutex<Option<Box<dyn FnOnce(Ready) + Send>>>>;

/// Runs the service until `shutdown`; `ready` is called once.
///
/// # Errors
/// What no repetition mends: configuration, credentials, a schema that setup has not made.
pub async fn run(
    config: Config,
    ready: impl FnOnce(Ready) + Send + 'static,
    shutdown: CancellationToken,
) -> Result<()> {
    let broken = |error| Error::with(Kind::Io, "the status page cannot listen", error);
    let listener = status::listen(config.status_listen).await?.into_std().map_err(broken)?;
    config.mail.as_ref().map(Mailer::new).transpose()?;
    let whole = Catalog::load()?;
    let standing = Standing {
        catalog: Arc::new(config.catalog()?),
        address: listener.local_addr().map_err(broken)?,
        entries: Entries::find(&whole)?,
        whole: Arc::new(whole),
        webhook: webhook::listen(&config).await?,
        listener,
        recorder: recorder()?,
        ready: Arc::new(Mutex::new(Some(Box::new(ready)))),
    };
    loop {
        let Some(owner) = until(&shutdown, || Owner::acquire(&config)).await? else { return Ok(()) };
        tokio::select! {
            // Dropped where the right is lost: calls under way are read back by whoever comes next.
            served = serve(&config, &standing, shutdown.child_token()) => return served,
            () = owner.lost() => {
                tracing::error!("the connection that keeps other services away broke; the service starts anew");
            }
        }
    }
}

/// Serves the schema, with the right to do so.
async fn serve(config: &Config, standing: &Standing, shutdown: CancellationToken) -> Result<()> {
    let catalog = &standing.catalog;
    let listener = standing.listener.try_clone().and_then(tokio::net::TcpListener::from_std);
    let listener = listener.map_err(|error| Error::with(Kind::Io, "the status page cannot listen", error))?;
    let size = u32::try_from(config.concurrency + READERS).unwrap_or(64) + SPARE_CONNECTIONS;
    let Some(database) = until(&shutdown, || connect(&config.database_url, size)).await? else {
        return Ok(());
    };
    let Some(instance) = until(&shutdown, || tenant(&database, config, catalog)).await? else {
        return Ok(());
    };
    let auth0 = Client::new(&config.auth0)?;
    let queue = Arc::new(Queue::default());
    let (arrivals_in, arrivals) = mpsc::channel(ARRIVALS);
    let releases = arrivals_in.clone();
    let (applied_in, applied) = watch::channel(0);
    let look = || pause::is_paused(&database, &config.schema);
    let Some(paused) = until(&shutdown, look).await? else { return Ok(()) };
    let (report_in, report) = watch::channel(Report { paused, ..Report::default() });
    let (paused_in, paused) = watch::channel(paused);
    let (to_read_in, to_read) = mpsc::unbounded_channel();
    let events = Arc::<EventsShown>::default();
    let page = Arc::new(Page {
        schema: config.schema.clone(),
        domain: config.auth0.domain.clone(),
        ready: AtomicBool::new(false),
        streaming: AtomicBool::new(false),
        writeback: report,
        queue: Arc::clone(&queue),
        webhook: Arc::default(),
        budget: auth0.budget().clone(),
        events: Arc::clone(&events),
        recorder: standing.recorder.clone(),
    });
    // Whoever asks meanwhile is told what the start waits for.
    let mut tasks = JoinSet::new();
    let stop = shutdown.clone();
    tasks.spawn(status::serve(listener, Arc::clone(&page) as Arc<dyn status::Source>, async move {
        stop.cancelled().await;
    }));
    let told = writes::tell(database.clone(), config.schema.clone(), page.writeback.clone());
    tasks.spawn(forever(shutdown.clone(), told));

    let ask = || async {
        let scopes = auth0.scopes().await;
        report_in.send_modify(|report| report.waiting_for = scopes.as_ref().err().map(Error::kind));
        granted(scopes, &database, &config.schema).await
    };
    let Some(scopes) = until(&shutdown, ask).await? else { return Ok(()) };
    tracing::info!(domain = %config.auth0.domain, scopes = scopes.len(), "Auth0 has given a token");

    let mut slot = wal::Settings::new(config.database_url.clone());
    slot.slot.clone_from(&config.slot);
    let Some(_) = until(&shutdown, || wal::ensure_slot(&slot)).await? else { return Ok(()) };

    let together =
        || connect_with(&config.database_url, writeback::Store::TOGETHER, writeback::Store::BY_KEY);
    let Some(together) = until(&shutdown, together).await? else { return Ok(()) };
    let reading = reading(config, catalog, database.clone(), auth0.clone(), instance.clone())?;
    let context = writeback::Context {
        catalog: Arc::clone(catalog),
        store: writeback::Store::new(database.clone(), together, config.schema.clone()),
        auth0,
        freshness: Arc::clone(&reading.freshness),
        instance,
        parents: Arc::default(),
        answered: Arc::default(),
        room: writeback::Room::new(config.concurrency),
    };
    let strict = || async {
        let own = connect(&config.database_url, STRICT_CONNECTIONS).await?;
        let asks = (to_read_in.clone(), paused.clone());
        Strict::open(context.clone(), own, config.concurrency, asks.0, asks.1).await
    };
    let Some(strict) = until(&shutdown, strict).await? else { return Ok(()) };
    let (questions_in, questions) = mpsc::channel(ARRIVALS);
    let dispatch =
        Dispatch { context, arrivals, applied: applied_in, report: report_in, to_read: to_read_in, paused };

    let counted = (database.clone(), config.schema.clone(), page.budget.clone());
    tasks.spawn(count_calls(counted.0, counted.1, counted.2, shutdown.clone()));
    let shown = (database.clone(), config.schema.clone(), page.budget.clone());
    let noting = note_budget(shown.0, shown.1, shown.2, Arc::clone(catalog));
    tasks.spawn(forever(shutdown.clone(), noting));
    let ends = (arrivals_in, questions_in);
    tasks.spawn(forever(shutdown.clone(), stream(slot, ends, applied, Arc::clone(&page))));
    tasks.spawn(forever(shutdown.clone(), strict.run(questions)));
    let heard = dispatch.context.store.clone();
    tasks.spawn(forever(shutdown.clone(), writeback::wake(heard, releases)));
    let kept = dispatch.context.store.clone();
    tasks.spawn(forever(shutdown.clone(), writeback::forget_settled(kept, config.keep_settled)));
    tasks.spawn(write_back(dispatch, shutdown.clone()));
    let asked = pause::follow(database.clone(), config.schema.clone(), paused_in);
    tasks.spawn(forever(shutdown.clone(), asked));
    for _ in 0..READERS {
        let (reading, queue, shutdown) = (reading.clone(), Arc::clone(&queue), shutdown.clone());
        tasks.spawn(async move { forever(shutdown, ingest::refetch(&reading, &queue)).await });
    }
    tasks.spawn(forever(shutdown.clone(), pass_on(Arc::clone(&queue), to_read)));
    let (asking, asked) = (reading.clone(), Arc::clone(&queue));
    tasks.spawn(forever(shutdown.clone(), async move { ingest::keep_asking(&asking, &asked).await }));
    let (at_work, asked) = (reading.clone(), Arc::clone(&queue));
    let settling = async move { ingest::watch_settling(&at_work, &asked).await };
    tasks.spawn(forever(shutdown.clone(), settling));
    let kept = selection_kept(database.clone(), config.schema.clone(), digest_of(catalog));
    tasks.spawn(until_shutdown(shutdown.clone(), kept));
    let parts = webhook::Parts {
        context: reading.clone(),
        queue: Arc::clone(&queue),
        whole: Arc::clone(&standing.whole),
        tally: Arc::clone(&page.webhook),
    };
    let port = standing.webhook.as_ref().map(std::net::TcpListener::try_clone).transpose();
    let port = port.map_err(|error| Error::with(Kind::Io, "the webhook cannot listen", error))?;
    tasks.spawn(webhook::serve(parts, config.webhook.clone(), port, shutdown.clone()));
    let announce = (Arc::clone(&standing.ready), Ready { status: standing.address });
    let events = config.events.then_some(events);
    let (comparing, asked) = (reading.clone(), Arc::clone(&queue));
    let sweeps = ingest::Sweeps { every: config.sweep.every, grace: config.sweep.grace };
    let sweep = async move { ingest::sweep(&comparing, &asked, sweeps).await };
    tasks.spawn(forever(shutdown.clone(), sweep));
    tasks.spawn(forever(
        shutdown.clone(),
        notice_writes(page.writeback.clone(), Arc::clone(&reading.activity)),
    ));
    let pace = ingest::Pace { busy: config.log_interval, idle: config.log_idle_interval };
    let pace = pace.within(reading.rates.as_deref(), &standing.entries);
    let follow = (standing.entries.clone(), pace);
    let shown = reading.clone();
    tasks.spawn(forever(shutdown.clone(), async move { ingest::keep_progress(&shown).await }));
    if let Some(mail) = &config.mail {
        let (database, schema) = (database.clone(), config.schema.clone());
        let telling = keep_telling(Mailer::new(mail)?, database, schema, config.auth0.domain.clone());
        tasks.spawn(forever(shutdown.clone(), telling));
    }
    tasks.spawn(fill_and_follow(reading, queue, follow, events, page, announce, shutdown.clone()));

    let mut outcome = Ok(());
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            ended = tasks.join_next() => match ended {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => { outcome = Err(error); break }
                Some(Err(error)) => { outcome = Err(Error::with(Kind::Internal, "a task broke", error)); break }
                None => break,
            }
        }
    }
    shutdown.cancel();
    // Writeback brings the calls that have left to their end; everything else may just stop.
    let _ = tokio::time::timeout(Duration::from_secs(7), async {
        while let Some(ended) = tasks.join_next().await {
            drop(ended);
        }
    })
    .await;
    tracing::info!("stopped");
    outcome
}

/// Runs the dispatcher; where the database fails it begins anew from the table.
async fn write_back(mut dispatch: Dispatch, shutdown: CancellationToken) -> Result<()> {
    let mut delays = Delays::default();
    while !shutdown.is_cancelled() {
        match dispatch.run(&shutdown).await {
            Ok(()) => return Ok(()),
            Err(error) => tracing::error!(%error, "writeback starts again from the table"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(delays.next_delay()) => {}
        }
    }
    Ok(())
}

/// Clients that write are a sign that somebody works in the tenant.
async fn notice_writes(mut report: watch::Receiver<Report>, activity: Arc<ingest::Activity>) {
    let mut settled = report.borrow().settled;
    while report.changed().await.is_ok() {
        let now = report.borrow_and_update().settled;
        if now != settled {
            settled = now;
            activity.noticed();
        }
    }
}

/// What writeback has learned is read.
async fn pass_on(queue: Arc<Queue>, mut to_read: mpsc::UnboundedReceiver<ToRead>) {
    while let Some(to_read) = to_read.recv().await {
        queue.ask_kept([to_read]);
    }
}
