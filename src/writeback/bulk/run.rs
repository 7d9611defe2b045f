//! One order from its rows to their ends: the file is sent, the job is looked at, every row settles by
//! itself. It ends with what is to become of each; a stop in between is taken up from the table.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Order;
use super::file::{File, Place, name_of};
use super::job::Sent;
use super::store::{self, Import};
use crate::auth0::Refusal;
use crate::catalog::{Bulk, Resource, RowKey, Target};
use crate::error::{Kind, Result};
use crate::pg::mirror::{Flight, Row, Tick};
use crate::writeback::call::{Verdict, delay};
use crate::writeback::lanes::{Company, Work};
use crate::writeback::readback::{self, There};
use crate::writeback::settlement::Settled;
use crate::writeback::worker::{Context, may_have_gone, read_if_gone, settled_by};

/// Rows that are read from the table at a time.
const PAGE: usize = 500;
/// Fewer rows that may go either way go by themselves after all.
const LEAST: usize = 50;
/// So many jobs may come to nothing before rows go by themselves.
const JOBS: u32 = 3;
/// Rows that settle at a time.
const SETTLING: usize = 64;
/// Of rows that the search does not show so many are read one by one.
const READ: usize = 20;
/// What says that there is such a row.
const CONFLICT: u16 = 409;

/// What becomes of a row's work.
#[derive(Debug)]
pub(in crate::writeback) enum End {
    /// Settled.
    Settled(Settled),
    /// Nothing has been sent: it goes by itself.
    Alone,
    /// It may have been created, and nothing creates it any more: it is read back by itself.
    InDoubt,
    /// Nothing has been sent: it goes with others, later.
    Later,
    /// A job may create it: it is taken up again under this request.
    Gone(String),
}

/// The end of an order.
#[derive(Debug)]
pub(in crate::writeback) struct Done {
    /// The table.
    pub(in crate::writeback) table: String,
    /// What becomes of each row.
    pub(in crate::writeback) ends: Vec<(Work, End)>,
    /// It came too early: the next not before this time.
    pub(in crate::writeback) early: Option<Instant>,
    /// No row that may go either way was fit.
    pub(in crate::writeback) unfit: bool,
    /// How long the job took.
    pub(in crate::writeback) took: Option<Duration>,
    /// The order goes on with the rows that are not among these.
    pub(in crate::writeback) goes_on: bool,
}

impl Done {
    fn new(table: String) -> Done {
        Done { table, ends: Vec::new(), early: None, unfit: false, took: None, goes_on: false }
    }

    fn all(&mut self, works: impl IntoIterator<Item = Work>, end: impl Fn() -> End) {
        self.ends.extend(works.into_iter().map(|work| (work, end())));
    }
}

/// Does an order to its end.
pub(in crate::writeback) async fn run(
    context: &Context,
    order: Order,
    tell: &mpsc::UnboundedSender<Done>,
) -> Done {
    let Order { table, works, decided, gone } = order;
    let mut done = Done::new(table);
    let resource = context.catalog.get(&done.table);
    let Some((resource, bulk)) = resource.and_then(|resource| Some((resource, resource.bulk.as_ref()?)))
    else {
        done.all(works, || if gone.is_some() { End::InDoubt } else { End::Alone });
        return done;
    };
    let run = Run { context, resource, bulk, tell };
    match gone {
        Some(request) => Box::pin(run.resume(&mut done, works, &request)).await,
        None => Box::pin(run.begin(&mut done, works, decided)).await,
    }
    done
}

/// What all steps of an order share.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) resource: &'a Resource,
    pub(super) bulk: &'a Bulk,
    /// Takes the ends of rows that need not wait for the others.
    tell: &'a mpsc::UnboundedSender<Done>,
}

impl Run<'_> {
    /// Fills a file with as many rows as it takes, and sends it.
    async fn begin(&self, done: &mut Done, works: Vec<Work>, decided: bool) {
        let (file, mut taken) = match self.file(done, works).await {
            Some(filled) if filled.0.rows() > 0 => filled,
            _ => return,
        };
        if !decided && taken.len() < LEAST && done.ends.iter().all(|(_, end)| !matches!(end, End::Later)) {
            done.all(taken, || End::Alone);
            return;
        }
        let home = match store::home(
            &self.context.store,
            &self.context.catalog,
            self.bulk,
            file.home.as_deref().unwrap_or_default(),
        )
        .await
        {
            Ok(Some(home)) => home,
            Ok(None) => {
                let why = format!("no import goes to this {}", self.bulk.home.column);
                for work in taken {
                    self.unfit(done, work, &why).await;
                }
                return;
            }
            Err(error) => {
                tracing::warn!(%error, table = %done.table, "new rows cannot be imported yet");
                done.early = Some(Instant::now());
                done.all(taken, || End::Later);
                return;
            }
        };
        for work in &taken {
            // What a strict statement has done and its transaction has not kept is taken back before.
            self.context.freshness.undecided().free(&work.node).await;
        }
        let request = self.context.correlation();
        let ids: Vec<i64> = taken.iter().flat_map(|work| work.ids.iter().copied()).collect();
        if let Err(error) = store::begin(&self.context.store, &done.table, &request, &ids).await {
            tracing::error!(%error, table = %done.table, "an import could not begin, its rows are taken up again");
            done.early = Some(Instant::now());
            // Whether the claim was committed nobody knows.
            done.all(taken, || End::Gone(request.clone()));
            return;
        }
        tracing::info!(table = %done.table, rows = taken.len(), request, "new rows are imported together");
        // What is not in this file may go in another beside it.
        let rest = std::mem::replace(done, Done::new(done.table.clone()));
        let _ = self.tell.send(Done { goes_on: true, ..rest });
        let import = Import { request, job: None, doubtful: false };
        Box::pin(self.carry(done, import, (file, home), &mut taken)).await;
    }

    /// Goes on where a call for these rows may have left before.
    async fn resume(&self, done: &mut Done, works: Vec<Work>, request: &str) {
        let found = store::begun(&self.context.store, request).await;
        let ids: Vec<i64> = works.iter().flat_map(|work| work.ids.iter().copied()).collect();
        let read = match &found {
            Ok(Some(_)) => store::contents(&self.context.store, self.resource, &ids).await,
            _ => Ok(HashMap::new()),
        };
        let (import, contents) = match (found, read) {
            (Ok(Some(import)), Ok(contents)) => (import, contents),
            // Nothing has begun under this request, or all has been forgotten.
            (Ok(None), _) => {
                done.all(works, || End::InDoubt);
                return;
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, table = %done.table, "an import cannot be taken up yet");
                done.early = Some(Instant::now());
                done.all(works, || End::Gone(request.to_owned()));
                return;
            }
        };
        let mut file = File::new(self.resource);
        let mut taken = Vec::new();
        for work in works {
            let content = work.ids.first().and_then(|id| contents.get(id));
            let place = content.zip(file.as_mut()).map(|(content, file)| file.put(content, true));
            match place {
                Some(Place::Taken) => taken.push(work),
                // It has settled and nobody heard of it; or it does not go into the file any more.
                _ => done.ends.push((work, End::InDoubt)),
            }
        }
        let home = match &file {
            Some(File { home: Some(home), .. }) => {
                store::home(&self.context.store, &self.context.catalog, self.bulk, home).await
            }
            _ => Ok(None),
        };
        let home = match home {
            // With a job nothing is sent any more.
            Ok(None) if import.job.is_some() => String::new(),
            Ok(Some(home)) => home,
            Ok(None) => {
                done.all(taken, || End::InDoubt);
                return self.end(done, &import).await;
            }
            Err(error) => {
                tracing::warn!(%error, table = %done.table, "an import cannot be taken up yet");
                done.early = Some(Instant::now());
                done.all(taken, || End::Gone(request.to_owned()));
                return;
            }
        };
        let Some(file) = file else { return };
        tracing::info!(table = %done.table, rows = taken.len(), job = import.job, "an import is taken up again");
        // Without a job the call may have left all the same.
        let import = Import { doubtful: import.doubtful || import.job.is_none(), ..import };
        Box::pin(self.carry(done, import, (file, home), &mut taken)).await;
    }

    /// Puts rows into a file; those that it does not take get their ends. None where nothing can be read.
    async fn file(&self, done: &mut Done, works: Vec<Work>) -> Option<(File<'_>, Vec<Work>)> {
        let (mut file, mut taken, mut unfit) = (File::new(self.resource)?, Vec::new(), Vec::new());
        let either = works.iter().any(|work| !is_wanted(work));
        let mut rest = works.into_iter();
        let mut full = false;
        loop {
            let page: Vec<Work> = rest.by_ref().take(PAGE).collect();
            if page.is_empty() || full {
                done.all(page.into_iter().chain(rest), || End::Later);
                break;
            }
            let ids: Vec<i64> = page.iter().flat_map(|work| work.ids.iter().copied()).collect();
            let contents = match store::contents(&self.context.store, self.resource, &ids).await {
                Ok(contents) => contents,
                Err(error) => {
                    tracing::warn!(%error, table = %done.table, "new rows cannot be imported yet");
                    done.early = Some(Instant::now());
                    done.all(page.into_iter().chain(rest).chain(taken), || End::Later);
                    return None;
                }
            };
            for work in page {
                let Some(content) = work.ids.first().and_then(|id| contents.get(id)) else {
                    done.ends.push((work, End::InDoubt));
                    continue;
                };
                match file.put(content, is_wanted(&work)) {
                    Place::Taken => taken.push(work),
                    Place::Another => {
                        full = true;
                        done.ends.push((work, End::Later));
                    }
                    Place::Unfit(why) => unfit.push((work, why)),
                }
            }
        }
        done.unfit = either && taken.iter().all(is_wanted);
        for (work, why) in unfit {
            self.unfit(done, work, &why).await;
        }
        Some((file, taken))
    }

    /// A row that an import does not take goes by itself, unless its client does not want that.
    async fn unfit(&self, done: &mut Done, work: Work, why: &str) {
        if !is_wanted(&work) {
            done.ends.push((work, End::Alone));
            return;
        }
        let message = format!("auth0.bulk is import, and {why}");
        let verdict = Verdict::Unfit { kind: Kind::Bulk, message };
        let end = match settled_by(self.context, &work, &verdict, &[]).await {
            Ok(settled) => End::Settled(settled),
            Err(error) => {
                tracing::error!(%error, table = %done.table, "a row that cannot be imported could not be settled");
                End::InDoubt
            }
        };
        done.ends.push((work, end));
    }

    /// From a claim to the ends of its rows.
    async fn carry(
        &self,
        done: &mut Done,
        mut import: Import,
        (file, home): (File<'_>, String),
        taken: &mut Vec<Work>,
    ) {
        let context = self.context;
        // Whatever is read until they are dropped may be from before the job.
        let flights: Vec<_> =
            taken.iter().map(|work| context.freshness.send(&work.node.0, &work.node.1)).collect();
        let begun = Instant::now();
        let works = std::mem::take(taken);
        let result = Box::pin(self.through(done, &mut import, (&file, &home), &works)).await;
        let verdicts = match result {
            Ok(verdicts) => verdicts,
            Err(error) => {
                tracing::error!(%error, table = %done.table, "an import could not be brought to its end, it is taken up again");
                done.early = Some(Instant::now());
                done.all(works, || End::Gone(import.request.clone()));
                return;
            }
        };
        if import.job.is_some() {
            done.took = Some(begun.elapsed());
        }
        let began: Vec<Tick> = flights.iter().map(Flight::began).collect();
        let mut rest = works.into_iter().zip(verdicts).zip(began);
        let mut settling = FuturesUnordered::new();
        loop {
            let more = rest.by_ref().take(SETTLING - settling.len());
            settling
                .extend(more.map(|((work, fate), began)| self.settle(work, fate, began, &import.request)));
            match settling.next().await {
                Some(end) => done.ends.push(end),
                None => break,
            }
        }
        drop(settling);
        drop(flights);
        self.end(done, &import).await;
    }

    /// Settles a row by itself.
    async fn settle(&self, work: Work, fate: Fate, began: Tick, request: &str) -> (Work, End) {
        let (verdict, seen) = match fate {
            Fate::End(end) => return (work, end),
            Fate::Settle(verdict, seen) => (verdict, seen),
        };
        let unknown = matches!((&verdict, seen), (Verdict::Applied(None), false));
        let row = || Target::suspected(&self.context.catalog, &work.node.0, work.node.1.clone());
        let gone = may_have_gone(self.context, self.resource, &work, &verdict, began);
        let also: Vec<Target> = unknown.then(row).flatten().into_iter().chain(gone).collect();
        let end = match settled_by(self.context, &work, &verdict, &also).await {
            Ok(mut settled) => {
                read_if_gone(self.context, self.resource, &work, &mut settled, began);
                End::Settled(settled)
            }
            Err(error) => {
                tracing::error!(%error, table = %work.node.0, "an imported row could not be settled, it is taken up again");
                End::Gone(request.to_owned())
            }
        };
        (work, end)
    }

    /// Forgets the import where nothing goes on under it.
    async fn end(&self, done: &mut Done, import: &Import) {
        if done.ends.iter().any(|(_, end)| matches!(end, End::Gone(_))) {
            done.early = Some(Instant::now());
            return;
        }
        if let Err(error) = store::forget(&self.context.store, import).await {
            // It is kept in vain, until it is old.
            tracing::warn!(%error, "an import that is over could not be forgotten");
        }
    }

    /// What is to become of each row, in their order.
    ///
    /// # Errors
    /// Of the database; how far it got stands in the table.
    async fn through(
        &self,
        done: &mut Done,
        import: &mut Import,
        (file, home): (&File<'_>, &str),
        works: &[Work],
    ) -> Result<Vec<Fate>> {
        let store = &self.context.store;
        let ids: Vec<i64> = works.iter().flat_map(|work| work.ids.iter().copied()).collect();
        let all = |fate: &dyn Fn(&Work) -> Fate| Ok(works.iter().map(fate).collect());
        let mut jobs = 0;
        let (failures, sure) = loop {
            match self.send(import, file, home, &ids).await? {
                Sent::Job(job) => {
                    import.job = Some(job);
                    store::note(store, import).await?;
                }
                Sent::NotNow(at) => {
                    store.put_back(&ids).await?;
                    done.early = Some(at);
                    return all(&|_| Fate::End(End::Later));
                }
                Sent::Refused(refusal) => {
                    tracing::warn!(table = %self.resource.table, status = refusal.status, message = refusal.message, "Auth0 refuses an import");
                    store.put_back(&ids).await?;
                    let refused = || Fate::Settle(Verdict::Refused(refusal.clone()), true);
                    return all(&|work| if is_wanted(work) { refused() } else { Fate::End(End::Alone) });
                }
                Sent::Lost => return all(&|_| Fate::End(End::InDoubt)),
            }
            if let Some(read) = self.judge(import.job.as_deref().unwrap_or_default()).await? {
                break read;
            }
            jobs += 1;
            if jobs == JOBS {
                tracing::warn!(table = %self.resource.table, "imports come to nothing: their rows are read back one by one");
                return all(&|_| Fate::End(End::InDoubt));
            }
            // The same rows again: what a job has created already cannot be created twice.
            tracing::warn!(table = %self.resource.table, job = import.job, "an import came to nothing, or to a part: another is started");
            (import.job, import.doubtful) = (None, true);
            store::note(store, import).await?;
        };
        let failure = |work: &Work| name_of(self.resource, work).and_then(|name| failures.of(&name).cloned());
        // After an answer that was lost what is there may be what an earlier try has made.
        let may_be_there = |work: &&Work| match failure(work) {
            None => sure,
            Some(refusal) => import.doubtful && refusal.status == CONFLICT,
        };
        let sought: Vec<&RowKey> = works.iter().filter(may_be_there).map(|work| &work.node.1).collect();
        let mut rows = self.find(&sought).await;
        let missing = sought.len() - rows.len();
        let mut fates = Vec::with_capacity(works.len());
        for work in works {
            fates.push(match failure(work) {
                Some(refusal) if import.doubtful && refusal.status == CONFLICT => {
                    self.met(work, rows.remove(&work.node.1), refusal).await?
                }
                Some(refusal) => Fate::Settle(Verdict::Refused(refusal), true),
                None if !sure => Fate::End(End::InDoubt),
                // What the search does not show yet comes with the connection's other news.
                None => Fate::Settle(Verdict::Applied(rows.remove(&work.node.1)), missing > READ),
            });
        }
        Ok(fates)
    }

    /// What becomes of a row that was there already, after an answer that was lost: what is there under its key
    /// has been made by an earlier try.
    async fn met(&self, work: &Work, row: Option<Row>, refusal: Refusal) -> Result<Fate> {
        if row.is_some() {
            return Ok(Fate::Settle(Verdict::Applied(row), true));
        }
        let mut tries = 0;
        loop {
            match readback::current(self.context, self.resource, &work.node.1.to_json(self.resource)).await {
                Ok(There::Row(_, row)) => return Ok(Fate::Settle(Verdict::Applied(Some(row)), true)),
                Ok(There::Nothing | There::Unknown) => {
                    return Ok(Fate::Settle(Verdict::Refused(refusal), true));
                }
                Err(error) => tracing::warn!(%error, "an imported row cannot be read back yet"),
            }
            tokio::time::sleep(delay(tries)).await;
            tries += 1;
        }
    }
}

/// What is to become of a row.
enum Fate {
    /// It settles; whether it need not be read again by itself.
    Settle(Verdict, bool),
    End(End),
}

fn is_wanted(work: &Work) -> bool {
    work.terms.together == Some(Company::Always)
}
