//! Keeps the replication stream going and hands its commits and questions to writeback.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::page::Page;
use crate::error::{Kind, Result};
use crate::retry::Delays;
use crate::wal::{self, Event, Inserts, Lsn, Stream};
use crate::writeback::{Arrival, Rows};

/// Where what comes through the stream goes: commits, and questions of strict statements.
pub(super) type Ends = (mpsc::Sender<Arrival>, mpsc::Sender<Bytes>);

/// Streams for ever; ends only when writeback has gone.
pub(super) async fn stream(
    settings: wal::Settings,
    ends: Ends,
    applied: watch::Receiver<u64>,
    page: Arc<Page>,
) {
    let mut delays = Delays::default();
    let arrivals = &ends.0;
    while !arrivals.is_closed() {
        let error = match follow(&settings, &ends, applied.clone(), &page, &mut delays).await {
            Ok(()) => return,
            Err(error) => error,
        };
        page.streaming.store(false, Ordering::Relaxed);
        if error.kind() == Kind::SlotLost {
            tracing::error!(slot = %settings.slot, %error, "the replication slot is lost, a new one is made");
            // In place of one that stands too: it may hold changes that can no longer be decoded.
            match wal::renew_slot(&settings).await {
                // What was committed before the new slot comes from the table.
                Ok(()) => {
                    tracing::warn!(slot = %settings.slot, "a new slot stands, unsettled mutations are read from the table");
                    if arrivals.send(Arrival::Rescan).await.is_err() {
                        return;
                    }
                    continue;
                }
                Err(error) => tracing::error!(%error, "no new slot could be made yet"),
            }
        } else {
            tracing::warn!(%error, "the replication stream broke, it is started again");
        }
        tokio::time::sleep(delays.next_delay()).await;
    }
}

async fn follow(
    settings: &wal::Settings,
    (arrivals, questions): &Ends,
    mut applied: watch::Receiver<u64>,
    page: &Page,
    delays: &mut Delays,
) -> Result<()> {
    let mut stream = Stream::start(settings).await?;
    delays.reset();
    page.streaming.store(true, Ordering::Relaxed);
    tracing::info!(slot = %settings.slot, "the replication stream is on");
    let report = stream.applied();
    loop {
        let event = tokio::select! {
            event = stream.next() => event?,
            changed = applied.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                report.set(Lsn(*applied.borrow_and_update()));
                continue;
            }
        };
        let told = match event {
            Event::Commit { xid, lsn, inserts, sealed } => arrived(&page.schema, (xid, lsn), inserts, sealed),
            Event::Heartbeat { lsn } => vec![Arrival::Quiet { lsn: lsn.0 }],
            Event::Question { lsn, content } => {
                if questions.send(content).await.is_err() {
                    return Ok(());
                }
                vec![Arrival::Quiet { lsn: lsn.0 }]
            }
        };
        for arrival in told {
            if arrivals.send(arrival).await.is_err() {
                return Ok(());
            }
        }
    }
}

fn arrived(schema: &str, (xid, lsn): (u32, Lsn), inserts: Inserts, sealed: Option<Bytes>) -> Vec<Arrival> {
    match inserts {
        Inserts::Each(inserts) => {
            let ours = inserts.into_iter().filter(|insert| &*insert.schema == schema);
            let (ids, rows): (Vec<_>, Vec<_>) = ours.map(|insert| (insert.id, insert.row)).unzip();
            if ids.is_empty() {
                vec![Arrival::Quiet { lsn: lsn.0 }]
            } else {
                let rows = Some(Rows::new(xid, rows.into_iter().collect(), sealed));
                vec![Arrival::Commit { lsn: lsn.0, ids, rows }]
            }
        }
        Inserts::Bulk(bulks) => bulks
            .into_iter()
            .filter(|bulk| &*bulk.schema == schema)
            .map(|bulk| Arrival::Large { lsn: lsn.0, xid, first: bulk.first_id, last: bulk.last_id })
            .collect(),
    }
}
