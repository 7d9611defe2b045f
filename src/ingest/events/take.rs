//! Takes one event: applies what it shows, or asks for what it names, and moves the position. Our own
//! writes come back as events too; they cost no call.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::cursor::Cursor;
use super::follow::Events;
use super::judge::{Judged, agrees, judge, key, shown};
use crate::catalog::{Catalog, EventKind, Events as Described, Resource, RowKey, Target};
use crate::error::{Kind, Result};
use crate::ingest::Source;
use crate::ingest::apply::following;
use crate::pg::mirror::{Locked, News, Operation, Row};
use crate::pg::to_read;

/// An event of a row for which a call of ours is under way waits for its answer, no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);
/// An answer that is on its way comes within this, mostly.
const SOON: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_millis(10);

/// What an event turned out to be.
enum Taken {
    /// The mirror has it: our own write, or nothing new.
    Known,
    /// It has been applied, and its offset with it; this follows.
    Applied,
    /// What it names has to be read.
    Hint,
    /// A call of ours that may have made it is under way.
    Wait,
}

/// The row that an event tells of.
struct About<'a> {
    resource: &'a Resource,
    described: &'a Described,
    kind: EventKind,
    key: RowKey,
    object: &'a Value,
}

impl<'a> About<'a> {
    /// Of an event of a mirrored table; the key is none where the event does not name it.
    fn of(catalog: &'a Catalog, event: &'a Value) -> Option<(&'a Resource, Option<About<'a>>)> {
        let name = event.get("type")?.as_str()?;
        let told = |resource: &'a Resource| {
            let described = resource.event.as_ref().filter(|_| resource.is_read())?;
            Some((resource, described, described.tells(name)?))
        };
        let (resource, described, kind) = catalog.iter().find_map(told)?;
        let object = event.pointer("/data/object").unwrap_or(&Value::Null);
        let key = key(resource, described, object);
        Some((resource, key.map(|key| About { resource, described, kind, key, object })))
    }
}

impl Events {
    /// Takes an event; its offset is stored when everything up to it has been applied or read.
    ///
    /// # Errors
    /// Database errors: nothing has been taken.
    pub(super) async fn take(&self, event: &Value, cursor: &Cursor) -> Result<()> {
        let catalog = &self.context.catalog;
        let mut targets = Vec::new();
        match About::of(catalog, event) {
            Some((resource, None)) => {
                tracing::warn!(table = %resource.table, "an event names no row; the tenant log brings what it meant");
            }
            Some((_, Some(about))) if self.is_answer(&about).await => {}
            Some((resource, Some(about))) if !self.context.refused.has(&resource.table) => {
                let until = Instant::now() + PATIENCE;
                loop {
                    match self.row(&about, cursor).await? {
                        Taken::Known => break,
                        Taken::Applied => return Ok(()),
                        Taken::Wait if Instant::now() < until => sleep(LOOK).await,
                        Taken::Wait | Taken::Hint => {
                            targets.extend(Target::row(catalog, &resource.table, about.key.clone()));
                            break;
                        }
                    }
                }
            }
            _ => {}
        }
        self.queue.ask_for(Source::Events, targets, cursor.to_position());
        Ok(())
    }

    /// Whether it tells only what a call of ours has been answered; it waits a moment for a call under way.
    async fn is_answer(&self, about: &About<'_>) -> bool {
        let About { resource, described, kind, key, object } = about;
        let freshness = &self.context.freshness;
        if !described.reading || *kind == EventKind::Deleted {
            return false;
        }
        let until = Instant::now() + SOON;
        while freshness.in_flight(&resource.table, key) && Instant::now() < until {
            sleep(LOOK).await;
        }
        shown(resource, described, object).is_some_and(|shown| freshness.was_answered(resource, key, &shown))
    }

    async fn row(&self, about: &About<'_>, cursor: &Cursor) -> Result<Taken> {
        let context = &self.context;
        let About { resource, described, kind, key, object } = about;
        let freshness = &context.freshness;
        let in_flight = || freshness.in_flight(&resource.table, key);
        let is_ours = || freshness.is_ours(&resource.table, key);
        let (was_in_flight, was_ours) = (in_flight(), is_ours());
        // A settlement may be committed at any moment of this, even between two looks at the table: what it has
        // written is known when it is looked for once more.
        let settles = || was_in_flight || in_flight() || (!was_ours && is_ours());
        let later = |wait| if wait { Taken::Wait } else { Taken::Hint };
        let mut locked = match Locked::take(&context.database, &context.schema, resource, key).await {
            Ok(locked) => locked,
            Err(error) if error.kind() == Kind::DatabaseBusy => return Ok(later(settles())),
            Err(error) => return Err(error),
        };
        if freshness.undecided().has(&resource.table, key) {
            return Ok(Taken::Hint);
        }
        let target = Target::row(&context.catalog, &resource.table, key.clone());
        // Whoever reads it now may have asked Auth0 before the event.
        let asked = target.is_some_and(|target| self.queue.has(&target));
        let ours = !asked && is_ours();
        let known = |known| if known { Taken::Known } else { Taken::Hint };
        if *kind == EventKind::Deleted {
            return Ok(known(ours && locked.visible.is_none()));
        }
        let Some(shown) = shown(resource, described, object) else { return Ok(Taken::Hint) };
        if locked.unsettled.first().is_some_and(|p| p.mutation.operation == Operation::Insert) {
            // Our own create has come back before its answer.
            return Ok(known(ours && *kind == EventKind::Created));
        }
        let base = locked.base();
        if base.is_none() {
            let mut row = shown;
            row.extend(key.to_json(resource));
            return Ok(later(locked.is_unclaimed(&row).await? || settles()));
        }
        if described.reading {
            return match judge(resource, described, base.as_ref(), &shown) {
                Judged::Newer(row) => self.apply(about, locked, base.as_ref(), row, cursor).await,
                Judged::Known => Ok(Taken::Known),
                Judged::Hint => Ok(Taken::Hint),
            };
        }
        if *kind == EventKind::Updated && in_flight() {
            return Ok(Taken::Wait);
        }
        let nothing_shown = shown.is_empty() && *kind == EventKind::Created;
        Ok(known(ours && (nothing_shown || agrees(base.as_ref(), &shown, &resource.key))))
    }

    /// Puts what the event shows into the row, and its offset into the same transaction where nothing
    /// before it is still to be read.
    async fn apply(
        &self,
        about: &About<'_>,
        mut locked: Locked<'_>,
        base: Option<&Row>,
        row: Row,
        cursor: &Cursor,
    ) -> Result<Taken> {
        let (context, position) = (&self.context, cursor.to_position());
        let rebased = match locked.apply(News::Present(row)).await {
            Ok(rebased) => rebased,
            Err(error) if error.kind() == Kind::DatabaseBusy => return Ok(Taken::Hint),
            Err(error) => return Err(error),
        };
        let mut targets =
            following(&context.catalog, about.resource, &about.key, base, rebased.base.as_ref());
        targets.extend(parts(&context.catalog, about.resource, &about.key, base, rebased.base.as_ref()));
        let kept = to_read::keep(&mut locked.transaction, &context.catalog, &context.schema, targets).await?;
        let mut stored = self.stored.lock().await;
        let leads = self.queue.behind(Source::Events) == 0;
        if leads {
            cursor.store(&mut *locked.transaction, &context.schema).await?;
        }
        locked.commit().await?;
        if leads {
            *stored = Some(position.clone());
        }
        self.queue.ask_for(Source::Events, [], position);
        self.queue.ask_kept(kept);
        Ok(Taken::Applied)
    }
}

/// Arrays of the row that are tables of their own and differ: they stand in the same answer.
fn parts(
    catalog: &Catalog,
    resource: &Resource,
    key: &RowKey,
    before: Option<&Row>,
    now: Option<&Row>,
) -> Vec<Target> {
    let Some(get) = &resource.get else { return Vec::new() };
    let moved = |array: &str| {
        let column = resource.columns.keys().find(|column| resource.field(column) == array);
        let value = |row: Option<&Row>| row.zip(column).and_then(|(row, column)| row.get(column)).cloned();
        value(before) != value(now)
    };
    let lists = catalog
        .iter()
        .filter(|other| other.is_read())
        .flat_map(|other| other.list.iter().enumerate().map(move |(n, list)| (other, n, list)));
    let parts =
        lists.filter(|(_, _, list)| list.path == get.path && list.array.as_deref().is_some_and(moved));
    parts.filter_map(|(other, n, _)| Target::set(other, n, &key.to_json(resource))).collect()
}
