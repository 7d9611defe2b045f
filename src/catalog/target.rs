//! What to read again.

use serde_json::{Map, Value, json};

use super::{Catalog, List, Resource, RowKey};

/// Something to read from Auth0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One row by its key.
    Row {
        /// Mirror table.
        table: String,
        /// Its key.
        key: RowKey,
    },
    /// The rows below one parent, by one of the table's lists.
    Set {
        /// Mirror table.
        table: String,
        /// Index into [`Resource::list`].
        list: usize,
        /// Values of the list's placeholders, in order ([`crate::catalog::List::names`]).
        parent: Vec<String>,
    },
    /// The rows that an export shows which is asked for with these values alone.
    Part {
        /// Mirror table.
        table: String,
        /// Name in the body of the export's call, and value.
        values: Vec<(String, String)>,
    },
    /// The whole table.
    Table {
        /// Mirror table.
        table: String,
    },
    /// Everything that lists show below one row, of any table.
    Below {
        /// The row's mirror table.
        table: String,
        /// Its key.
        key: RowKey,
    },
}

impl Target {
    /// The mirror table.
    pub fn table(&self) -> &str {
        match self {
            Target::Row { table, .. }
            | Target::Set { table, .. }
            | Target::Part { table, .. }
            | Target::Table { table }
            | Target::Below { table, .. } => table,
        }
    }

    /// As `_auth0_sync.to_read.target` holds it: a list goes by its path, which another version of the catalogue
    /// may have at another place.
    pub fn to_json(&self, catalog: &Catalog) -> Value {
        match self {
            Target::Row { table, key } => json!({"table": table, "key": key.0}),
            Target::Below { table, key } => json!({"table": table, "below": key.0}),
            Target::Set { table, list, parent } => {
                let list = catalog.get(table).and_then(|resource| resource.list.get(*list));
                json!({"table": table, "list": list.map(|list| &list.path), "parent": parent})
            }
            Target::Part { table, values } => json!({"table": table, "values": values}),
            Target::Table { table } => json!({"table": table}),
        }
    }

    /// What [`Target::to_json`] has made. Where the catalogue does not know such a row or list, it is the whole
    /// table; none where it does not read that table.
    pub fn from_json(catalog: &Catalog, target: &Value) -> Option<Target> {
        let resource = catalog.get(target.get("table")?.as_str()?)?;
        let table = || resource.table.clone();
        let key = |name: &str| {
            let key = RowKey(texts(target.get(name)?)?);
            (key.0.len() == resource.key.len()).then_some(key)
        };
        if let Some(key) = key("below") {
            return Some(Target::Below { table: table(), key });
        }
        if !resource.is_read() {
            return None;
        }
        let row = || Some(Target::Row { table: table(), key: key("key")? });
        let set = || {
            let (path, parent) = (target.get("list")?.as_str()?, texts(target.get("parent")?)?);
            let is_it = |list: &List| list.path == path && list.names().len() == parent.len();
            let list = resource.list.iter().position(is_it)?;
            Some(Target::Set { table: table(), list, parent })
        };
        let part = || {
            let pair =
                |pair: &Value| <[String; 2]>::try_from(texts(pair)?).ok().map(<(String, String)>::from);
            let values = target.get("values")?.as_array()?.iter().map(pair).collect::<Option<_>>()?;
            resource.export.is_some().then(|| Target::Part { table: table(), values })
        };
        row().or_else(set).or_else(part).or_else(|| Some(Target::Table { table: table() }))
    }

    /// How a row is read: by its key where the API has such a call, else with all that a list shows
    /// with it; none where Auth0 is not asked for such rows.
    pub fn row(catalog: &Catalog, table: &str, key: RowKey) -> Option<Target> {
        let resource = catalog.get(table).filter(|resource| resource.is_read())?;
        if resource.get.is_some() {
            return Some(Target::Row { table: table.to_owned(), key });
        }
        Target::narrowest(catalog, resource, &key.to_json(resource))
    }

    /// The narrowest list that shows rows with these values: the last whose placeholders they fill,
    /// because below a user there are fewer roles than users below a role. Else the whole table.
    pub fn narrowest(catalog: &Catalog, resource: &Resource, values: &Map<String, Value>) -> Option<Target> {
        let mut lists = list_groups(catalog, resource).into_iter().flatten().collect::<Vec<_>>();
        lists.sort_unstable();
        lists.retain(|n| !resource.list[*n].names().is_empty());
        let set = lists.into_iter().rev().find_map(|n| Target::set(resource, n, values));
        let whole = || Target::Table { table: resource.table.clone() };
        resource.is_read().then(|| set.unwrap_or_else(whole))
    }

    /// The rows of a list, where `values` fill its placeholders.
    pub fn set(resource: &Resource, list: usize, values: &Map<String, Value>) -> Option<Target> {
        let parent = resource.list.get(list)?.set_of(values)?;
        Some(Target::Set { table: resource.table.clone(), list, parent })
    }

    /// What to read when a row may have changed: the row, or what it makes Auth0 show where the row
    /// itself is a client's.
    pub fn suspected(catalog: &Catalog, table: &str, key: RowKey) -> Option<Target> {
        match catalog.get(table)?.is_read() {
            true => Target::row(catalog, table, key),
            false => Target::below(catalog, table, key),
        }
    }

    /// What lists show below a row; none where no list goes by its table.
    pub fn below(catalog: &Catalog, table: &str, key: RowKey) -> Option<Target> {
        let mut lists = catalog.iter().flat_map(|resource| &resource.list);
        let any = lists.any(|list| list.parent.as_deref() == Some(table));
        any.then(|| Target::Below { table: table.to_owned(), key })
    }

    /// Tables of which Auth0 deletes rows along with a row of this one.
    pub fn taken_along(resource: &Resource) -> impl Iterator<Item = Target> {
        resource.takes_along.iter().map(|table| Target::Table { table: table.clone() })
    }

    /// What a write of `row` changes in another table: the row or the list that the row's own values
    /// name, by what they refer to; else the whole table.
    pub fn changed(
        catalog: &Catalog,
        resource: &Resource,
        row: &Map<String, Value>,
        table: &str,
    ) -> Option<Target> {
        let other = catalog.get(table).filter(|other| other.is_read())?;
        let mut known: Vec<(&str, Map<String, Value>)> = vec![(&resource.table, row.clone())];
        let single = resource.columns.iter().filter_map(|(name, column)| {
            let of = catalog.get(column.references.as_deref()?)?;
            let [key] = of.key.as_slice() else { return None };
            Some((of.table.as_str(), Map::from_iter([(key.clone(), row.get(name)?.clone())])))
        });
        known.extend(single);
        known.extend(resource.depends.iter().filter_map(|(table, columns)| {
            let of = catalog.get(table)?;
            let values =
                of.key.iter().zip(columns).map(|(key, column)| Some((key.clone(), row.get(column)?.clone())));
            Some((of.table.as_str(), values.collect::<Option<Map<String, Value>>>()?))
        }));
        let own = known.iter().filter(|(of, _)| *of == other.table);
        if let Some(key) = own.into_iter().find_map(|(_, values)| RowKey::of(other, values)) {
            return Target::row(catalog, table, key);
        }
        let below = other.list.iter().enumerate().rev().find_map(|(n, list)| {
            let parent = catalog.get(list.parent.as_deref()?)?;
            let (_, values) = known.iter().find(|(of, _)| *of == parent.table)?;
            let pairs = list.supplied(parent).into_iter();
            let values = pairs.map(|(name, column)| Some((name.to_owned(), values.get(column)?.clone())));
            let values = values.collect::<Option<Map<String, Value>>>()?;
            match RowKey::of(other, &values) {
                Some(key) if other.get.is_some() => Target::row(catalog, table, key),
                _ => Target::set(other, n, &values),
            }
        });
        // Several lists for each row: they are found when it is read.
        let own_key =
            || RowKey::of(resource, row).and_then(|key| Target::below(catalog, &resource.table, key));
        let several = other.list.iter().any(|list| list.parent.as_ref() == Some(&resource.table));
        below
            .or_else(|| own_key().filter(|_| several))
            .or_else(|| Some(Target::Table { table: table.to_owned() }))
    }
}

/// Lists that together show the whole table, by their index; the preferred group first. Lists of
/// tables that are not selected are left out.
pub fn list_groups(catalog: &Catalog, resource: &Resource) -> Vec<Vec<usize>> {
    let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
    for (n, list) in resource.list.iter().enumerate() {
        if !list.sources().all(|table| catalog.get(table).is_some()) {
            continue;
        }
        match groups.iter_mut().find(|(path, _)| *path == list.path) {
            Some((_, group)) if list.parent.is_some() => group.push(n),
            _ => groups.push((&list.path, vec![n])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// An array of texts.
fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_by_another_catalogue_too() {
        let catalog = Catalog::bundled().unwrap();
        let key = |values: &[&str]| RowKey(values.iter().map(|value| (*value).to_owned()).collect());
        let organization = |key| Target::Below { table: "organization".into(), key };
        let sets = catalog.resource("user_role").unwrap();
        let list = sets.list.len() - 1;
        let parent: Vec<_> = sets.list[list].names().iter().map(|name| format!("a {name}")).collect();
        let targets = [
            Target::Row { table: "user".into(), key: key(&["auth0|a"]) },
            organization(key(&["org_1"])),
            Target::Set { table: "user_role".into(), list, parent },
            Target::Part { table: "user".into(), values: vec![("connection_id".into(), "con_1".into())] },
            Target::Table { table: "role".into() },
        ];
        for target in &targets {
            assert_eq!(Target::from_json(&catalog, &target.to_json(&catalog)).as_ref(), Some(target));
        }
        let whole = |table: &str| Some(Target::Table { table: table.into() });
        let read = |target: Value| Target::from_json(&catalog, &target);
        assert_eq!(read(json!({"table": "user", "key": ["two", "parts"]})), whole("user"));
        assert_eq!(
            read(json!({"table": "user_role", "list": "/no/such/list", "parent": ["a"]})),
            whole("user_role")
        );
        assert_eq!(read(json!({"table": "no_such_table", "key": ["a"]})), None);
    }
}
