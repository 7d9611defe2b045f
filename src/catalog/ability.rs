//! What can be done with a resource, and what it hangs on.

use super::model::{Class, Column, Resource, ResourceKind};

impl Resource {
    /// Whether a client may insert rows.
    pub fn inserts(&self) -> bool {
        match self.kind {
            ResourceKind::Command => true,
            ResourceKind::Watch => true,
            ResourceKind::View | ResourceKind::Retired => false,
            _ => self.create.is_some() || self.replace.is_some(),
        }
    }

    /// Whether a client may update rows.
    pub fn updates(&self) -> bool {
        let movable = || {
            let writable = |(name, column): (&String, &Column)| {
                column.class == Class::Writable && !self.key.contains(name)
            };
            self.replace.is_some() && self.columns.iter().any(writable)
        };
        self.kind.is_read() && (self.update.is_some() || movable())
    }

    /// Whether a client may delete rows. Rows of commands and watches are the client's own.
    pub fn deletes(&self) -> bool {
        match self.kind {
            ResourceKind::Command | ResourceKind::Watch => true,
            ResourceKind::View | ResourceKind::Retired => false,
            _ => self.delete.is_some() || self.replace.is_some(),
        }
    }

    /// Whether Auth0 has a call that shows rows.
    pub fn is_read(&self) -> bool {
        self.kind.is_read() && (self.get.is_some() || !self.list.is_empty())
    }

    /// Whether it is a table of Postgres, and not a view.
    pub fn is_table(&self) -> bool {
        self.kind != ResourceKind::View
    }

    /// Tables without which this one cannot be filled or written: those that say what to list, those
    /// whose rows must be there first, and what a view shows.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        let columns = self.columns.values().filter_map(|column| column.references.as_deref());
        columns.chain(self.needs())
    }

    /// Tables without which this one has no rows: what its first list goes by, and what a view shows.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        let lists = self.list.iter().flat_map(|list| list.sources());
        let depends = self.depends.keys().map(String::as_str);
        lists.chain(depends).chain(self.view.iter().map(|view| view.of.as_str()))
    }

    /// Columns whose value a client may give but that never stand in the mirror.
    pub fn write_only(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(|(_, c)| c.class == Class::WriteOnly).map(|(name, _)| name.as_str())
    }

    /// Whether values of clients are set aside for some column.
    pub fn sets_aside(&self) -> bool {
        self.write_only().next().is_some() || self.columns.values().any(Column::hides_parts)
    }

    /// Whether what reading a key answered says that there is no row.
    pub fn is_absent(&self, row: &serde_json::Map<String, serde_json::Value>) -> bool {
        let list =
            |column: &String| row.get(column).is_none_or(|value| value.as_array().is_some_and(Vec::is_empty));
        self.absent_when_empty.as_ref().is_some_and(list)
    }

    /// Auth0's name of a column's field.
    pub fn field<'a>(&'a self, column: &'a str) -> &'a str {
        self.columns.get(column).and_then(|c| c.field.as_deref()).unwrap_or(column)
    }

    /// The name of a column's field in bodies.
    pub fn write_field<'a>(&'a self, column: &'a str) -> &'a str {
        let other = self.columns.get(column).and_then(|c| c.write_field.as_deref());
        other.unwrap_or_else(|| self.field(column))
    }

    /// The column of the key that Auth0 makes: its last.
    pub fn made_column(&self) -> Option<&str> {
        self.key.last().map(String::as_str)
    }

    /// Every call that the resource describes.
    pub fn calls(&self) -> impl Iterator<Item = &super::Call> {
        let row = [self.get.as_ref(), self.update.as_ref(), self.delete.as_ref()];
        let create = self.create.as_ref().map(|create| &create.call);
        let replace = self.replace.as_ref().map(|replace| &replace.call);
        let commands = self.command.iter().map(|command| &command.call);
        let bulk = self.bulk.as_ref().map(|bulk| &bulk.start);
        row.into_iter().flatten().chain(create).chain(replace).chain(commands).chain(bulk)
    }
}
