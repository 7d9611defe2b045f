//! Writes that Auth0 does not allow at the moment, by table and operation, pure: one of them finds out whether
//! it does again, the others wait for what it finds.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::lanes::Work;
use crate::error::Kind;
use crate::pg::mirror::Operation;

/// Whoever finds out has so long before another does.
const FINDING_OUT: Duration = Duration::from_secs(10);

/// What is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The table.
    pub table: String,
    /// The operation.
    pub operation: Operation,
    /// Why.
    pub kind: Kind,
}

/// Everything that is not allowed, each until when.
#[derive(Debug, Default)]
pub(super) struct Blocks(HashMap<(String, Operation), (Instant, Kind)>);

impl Blocks {
    /// Until when a work has to wait; none for what is allowed, and for who is to find out.
    pub(super) fn wait(&mut self, work: &Work, now: Instant) -> Option<Instant> {
        let (until, _) = self.0.get_mut(&name(work))?;
        if *until > now {
            return Some(*until);
        }
        *until = now + FINDING_OUT;
        None
    }

    /// It is not allowed, and worth no other try before this time. True where that is new.
    pub(super) fn add(&mut self, work: &Work, until: Instant, kind: Kind) -> bool {
        self.0.insert(name(work), (until, kind)).is_none()
    }

    /// It is allowed. True where that is new.
    pub(super) fn lift(&mut self, work: &Work) -> bool {
        !self.0.is_empty() && self.0.remove(&name(work)).is_some()
    }

    /// Whether everything is allowed.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order of their names.
    pub(super) fn all(&self) -> Vec<Blocked> {
        let told = self.0.iter().map(|((table, operation), (_, kind))| Blocked {
            table: table.clone(),
            operation: *operation,
            kind: *kind,
        });
        let mut all: Vec<_> = told.collect();
        all.sort_by(|one, other| {
            (&one.table, one.operation.as_str()).cmp(&(&other.table, other.operation.as_str()))
        });
        all
    }
}

fn name(work: &Work) -> (String, Operation) {
    (work.node.0.clone(), work.operation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::RowKey;
    use crate::writeback::lanes::Terms;

    fn work(table: &str, operation: Operation) -> Work {
        let node = (table.to_owned(), RowKey::single("1"));
        Work { ids: vec![1], node, operation, uncertain: false, terms: Terms::default() }
    }

    #[test]
    fn one_finds_out_while_the_others_of_its_kind_wait() {
        let (mut blocks, now) = (Blocks::default(), Instant::now());
        let update = work("user", Operation::Update);
        let until = now + Duration::from_secs(1);
        assert!(blocks.add(&update, until, Kind::Auth0Scope));
        assert_eq!(blocks.wait(&update, now), Some(until));
        assert_eq!(blocks.wait(&work("user", Operation::Delete), now), None);
        assert_eq!(blocks.wait(&work("role", Operation::Update), now), None);
        assert_eq!(blocks.wait(&update, until), None, "it finds out");
        assert_eq!(blocks.wait(&update, until), Some(until + FINDING_OUT));
        assert!(!blocks.add(&update, until + Duration::from_secs(2), Kind::Auth0Scope));
        assert_eq!(blocks.all().len(), 1);
        assert!(blocks.lift(&update) && blocks.all().is_empty() && !blocks.lift(&update));
        assert_eq!(blocks.wait(&update, now), None);
    }
}
