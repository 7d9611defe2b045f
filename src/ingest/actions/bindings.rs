//! The place of the service's Action at its trigger: behind the others at first, and wherever somebody
//! moves it then. Auth0 takes the list as a whole only, so it is read right before it is written, and
//! everyone else's entries go back as they are, by their own ids.

use serde_json::{Value, json};

use super::calls::{Calls, replace, text};
use super::wanted::Trigger;
use crate::catalog::{List, Replace, fill_body, fill_path};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::{Row, row_listed};

/// Auth0 runs at most so many Actions at a trigger.
const MOST: usize = 20;
/// How often a list is written anew that somebody else changes meanwhile.
const TRIES: usize = 5;

/// Adds the Action to its trigger where it is not bound; whether it had to.
pub(super) async fn bind(calls: &Calls<'_>, trigger: Trigger, key: &str, name: &str) -> Result<bool> {
    let list = Bindings::of(calls, trigger)?;
    for tries in 0..TRIES {
        let there = list.read(calls).await?;
        if there.iter().any(|row| list.is(row, key)) {
            return Ok(tries > 0);
        }
        if there.len() >= MOST {
            let what = format!(
                "{} has {MOST} Actions already, which is the most; unbind one to let the service report",
                trigger.id
            );
            return Err(Error::new(Kind::Auth0Refused, what));
        }
        let ours = json!({ list.column.as_str(): key, "display_name": name });
        let ours = fill_body(&list.replace.item, ours.as_object().unwrap_or(&Row::new()));
        let items = there.iter().map(|row| list.kept(row)).chain([ours]);
        list.write(calls, items.collect()).await?;
        // Read back by the next turn: whoever wrote at the same time may have dropped ours.
    }
    let what = format!("somebody else keeps changing what runs at {}", trigger.id);
    Err(Error::new(Kind::Auth0Answer, what))
}

/// Takes the Action from its trigger; the others stay.
pub(super) async fn unbind(calls: &Calls<'_>, trigger: Trigger, key: &str) -> Result<()> {
    let list = Bindings::of(calls, trigger)?;
    for _ in 0..TRIES {
        let there = list.read(calls).await?;
        if !there.iter().any(|row| list.is(row, key)) {
            return Ok(());
        }
        let others = there.iter().filter(|row| !list.is(row, key));
        list.write(calls, others.map(|row| list.kept(row)).collect()).await?;
    }
    let what = format!("somebody else keeps changing what runs at {}", trigger.id);
    Err(Error::new(Kind::Auth0Answer, what))
}

/// The list of one trigger.
struct Bindings<'a> {
    list: &'a List,
    replace: &'a Replace,
    /// What the path names.
    values: Row,
    /// Our column of the Action that is bound.
    column: String,
}

impl<'a> Bindings<'a> {
    fn of(calls: &Calls<'a>, trigger: Trigger) -> Result<Bindings<'a>> {
        let resource = calls.binding;
        let wrong = |what: &str| Error::new(Kind::Catalog, format!("{} {what}", resource.table));
        let [near, far] = resource.key.as_slice() else { return Err(wrong("is no link")) };
        let values = Row::from_iter([(near.clone(), trigger.id.into())]);
        let list = resource.list.iter().find(|list| fill_path(&list.path, &values).is_some());
        let list = list.ok_or_else(|| wrong("has no list of one trigger"))?;
        Ok(Bindings { list, replace: replace(resource)?, values, column: far.clone() })
    }

    async fn read(&self, calls: &Calls<'_>) -> Result<Vec<Row>> {
        let items = calls.all(self.list, &self.values).await?;
        Ok(items.iter().map(|item| row_listed(calls.binding, self.list, item, &self.values)).collect())
    }

    fn is(&self, row: &Row, key: &str) -> bool {
        text(row, &self.column) == key
    }

    /// How a binding that stays goes back.
    fn kept(&self, row: &Row) -> Option<Value> {
        fill_body(self.replace.keep.as_ref().unwrap_or(&self.replace.item), row)
    }

    /// Writes the list. An entry that cannot be written as it is stops it: nobody's may be lost.
    async fn write(&self, calls: &Calls<'_>, items: Option<Vec<Value>>) -> Result<()> {
        let lost = || Error::new(Kind::Internal, "a binding cannot be written as it is");
        let items = Value::Array(items.ok_or_else(lost)?);
        let body = match &self.replace.array {
            Some(name) => json!({ name.as_str(): items }),
            None => items,
        };
        let done = calls.make(&self.replace.call, &self.values, Some(body)).await;
        calls.list_changed(calls.binding, &self.values);
        done.map(drop)
    }
}
