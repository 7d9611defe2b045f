//! Many new rows in one file that a job of Auth0's works off, where the catalogue knows such jobs (`[bulk]`)
//! and that is cheaper than a call for each, or the client wants it.
//!
//! [`gather`], [`mod@file`], [`worth`] and [`answers`] decide, pure; [`store`], [`job`] and [`run`] stand around them. What
//! it must never do: send a row by itself while a job may still create it.

mod answers;
mod file;
mod gather;
mod job;
mod run;
mod store;
mod worth;

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Method;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub(super) use gather::Gather;
pub(super) use run::{Done, End};
use worth::Cost;

use super::desk::Desk;
use super::lanes::Work;
use super::worker::Context;

/// Rows to create together.
#[derive(Debug)]
pub(super) struct Order {
    /// Their table.
    pub(super) table: String,
    /// Their inserts, one each.
    pub(super) works: Vec<Work>,
    /// However few are fit.
    pub(super) decided: bool,
    /// The request that a call for them has been made under.
    pub(super) gone: Option<String>,
}

/// Jobs under way, and how long they take.
#[derive(Debug)]
pub(super) struct Jobs {
    tasks: JoinSet<Done>,
    /// Ends of rows whose order goes on with others.
    tell: mpsc::UnboundedSender<Done>,
    told: mpsc::UnboundedReceiver<Done>,
    /// How long a job of a table has taken.
    took: HashMap<String, Duration>,
}

impl Default for Jobs {
    fn default() -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        Jobs { tasks: JoinSet::new(), tell, told, took: HashMap::new() }
    }
}

impl Jobs {
    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Starts what has gathered.
    pub(super) fn start(&mut self, context: &Context, desk: &mut Desk) {
        if !desk.gathers() {
            return;
        }
        let bulk = |table: &str| context.catalog.get(table)?.bulk.as_ref();
        let at_a_time = |table: &str| bulk(table).map_or(0, |bulk| bulk.at_a_time);
        let is_worth = |table: &str, rows: usize| {
            let Some(bulk) = bulk(table) else { return false };
            let usual = Duration::from_secs(bulk.worth.seconds.into());
            let took = self.took.get(table).copied().unwrap_or(usual);
            let (per_second, at_a_time) = (per_second(context, table), bulk.at_a_time);
            Cost { per_second, worth: bulk.worth, took, at_a_time }.is_worth(rows)
        };
        let mut orders = Vec::new();
        while let Some(order) = desk.next_import(&at_a_time, &is_worth, Instant::now()) {
            orders.push(order);
        }
        for order in orders {
            let (context, tell) = (context.clone(), self.tell.clone());
            self.tasks.spawn(async move { run::run(&context, order, &tell).await });
        }
    }

    /// The next that has ended, or the part of one; none where none is under way.
    pub(super) async fn ended(&mut self) -> Option<Result<Done, tokio::task::JoinError>> {
        let done = tokio::select! {
            biased;
            // What an order has told of a part comes before its end.
            Some(part) = self.told.recv() => Ok(part),
            done = self.tasks.join_next() => done?,
        };
        if let Ok(Done { table, took: Some(took), .. }) = &done {
            self.took.insert(table.clone(), *took);
        }
        Some(done)
    }
}

/// Creating calls a second that the budget lets through; none where only answers tell.
fn per_second(context: &Context, table: &str) -> Option<f64> {
    let create = &context.catalog.get(table)?.create.as_ref()?.call;
    let budget = context.auth0.budget();
    let buckets = budget.buckets_of(&Method::from_str(&create.method).ok()?, &create.path);
    let flows = budget.flows().into_iter().filter(|flow| buckets.contains(&flow.bucket));
    flows.filter_map(|flow| flow.per_second).reduce(f64::min)
}
