//! What lists have to say besides the rows that they show. It is held in memory while a table is read,
//! so it stays small however many rows differ: rows beyond a number are read by themselves at once.

use std::collections::HashSet;

use futures_util::future::join_all;

use super::bulk_follow::Follow;
use super::refetch::read_row;
use super::seen::Seen;
use super::{Context, Queue, bulk};
use crate::auth0::{Cut, Lane};
use crate::catalog::{Resource, RowKey, Target};
use crate::error::{Kind, Result, Retry};

/// Rows that wait to be read by themselves until the list has ended.
const ROWS: usize = 1_000;
/// What has to be read because of rows; for more, whole tables are read.
const FOLLOWING: usize = 10_000;
/// Rows that are read at a time.
const AT_A_TIME: usize = 8;

/// What a list had to say.
#[derive(Default)]
pub(super) struct Listed {
    /// Keys of the rows that it showed.
    pub(super) seen: Seen,
    /// Rows that have to be read by themselves: changed meanwhile, held by a client, shown in part
    /// only, or in the mirror and not in a list that may lag behind.
    pub(super) again: Vec<RowKey>,
    /// Those of them that could not be read so far.
    tried: Vec<RowKey>,
    /// What has to be read because of these rows.
    pub(super) following: Vec<Target>,
    /// Set where Auth0 shows only a part.
    pub(super) cut: Option<Cut>,
}

impl Listed {
    /// Rows that have to be read by themselves, and nothing else.
    pub(super) fn of(again: Vec<RowKey>, following: Vec<Target>) -> Listed {
        Listed { again, following, ..Listed::default() }
    }

    pub(super) fn add(&mut self, stored: bulk::Stored) {
        self.again.extend(stored.again);
        self.following.extend(stored.following);
    }

    /// Takes what another list had to say.
    pub(super) fn join(&mut self, other: Listed) {
        self.seen.join(other.seen);
        self.again.extend(other.again);
        self.tried.extend(other.tried);
        self.following.extend(other.following);
        self.cut = self.cut.or(other.cut);
    }

    /// Every row that is still to be read by itself, each once.
    pub(super) fn open(&mut self) -> Vec<RowKey> {
        let mut open = std::mem::take(&mut self.again);
        open.append(&mut self.tried);
        open.sort_unstable();
        open.dedup();
        open
    }

    /// Works off what has become too much to be held. While tables are compared, what differs beyond
    /// that number is applied and counted at once, as of the rows that lists show.
    ///
    /// # Errors
    /// Of Auth0 and of the database; what no repetition mends, and rows that a client holds, are left
    /// to the queue.
    pub(super) async fn bound(
        &mut self,
        context: &Context,
        queue: &Queue,
        resource: &Resource,
        lane: Lane,
    ) -> Result<()> {
        if self.following.len() > FOLLOWING {
            let mut met = HashSet::new();
            self.following.retain(|target| met.insert(target.clone()));
            if self.following.len() > FOLLOWING / 2 {
                self.following = Follow::of(&context.catalog, resource).all().collect();
            }
        }
        // Without a call for one row all of them stand for one list or a few.
        if self.again.len() <= ROWS || resource.get.is_none() {
            return Ok(());
        }
        let mut rows = std::mem::take(&mut self.again);
        rows.sort_unstable();
        rows.dedup();
        for some in rows.chunks(AT_A_TIME) {
            let readings = some.iter().map(|key| Box::pin(read_row(context, queue, resource, key, lane)));
            for (key, read) in some.iter().zip(join_all(readings).await) {
                match read {
                    Ok(true) => {}
                    Ok(false) => self.tried.push(key.clone()),
                    Err(error)
                        if error.kind() == Kind::DatabaseBusy
                            || error.kind().policy().retry == Retry::Never =>
                    {
                        self.tried.push(key.clone());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_named_once_whether_it_was_tried_or_not() {
        let key = |name: &str| RowKey::single(name);
        let mut listed = Listed::of(vec![key("b"), key("a"), key("b")], Vec::new());
        let tried = Listed { tried: vec![key("c"), key("a")], ..Listed::default() };
        listed.join(tried);
        assert_eq!(listed.open(), [key("a"), key("b"), key("c")]);
        assert!(listed.open().is_empty());
    }
}
