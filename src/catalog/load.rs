//! Reads the catalogue's files; an error names the file and what is wrong in it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::check;
use super::model::{Class, Column, ColumnType, List, NewKey, Resource, ResourceKind, Serves};
use super::select::Follows;
use crate::error::{Error, Kind, Result};

const BUNDLED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalog_files.rs"));

/// Every resource, parents before children.
#[derive(Clone, Debug)]
pub struct Catalog {
    resources: IndexMap<String, Resource>,
    follows: Vec<Follows>,
    /// Table → lists that go by its rows: the place of the resource, and of the list in it.
    sources: HashMap<String, Vec<(usize, usize)>>,
}

impl Catalog {
    /// The catalogue that this program was built with.
    ///
    /// # Errors
    /// `catalog`, naming the file: a fault of the build, so tests catch it.
    pub fn bundled() -> Result<Catalog> {
        Self::from_files(BUNDLED.iter().copied())
    }

    /// The bundled catalogue, with the files of the folder that `AUTH0_SYNC_CATALOG` names over it.
    ///
    /// # Errors
    /// As [`Catalog::with`].
    pub fn load() -> Result<Catalog> {
        match std::env::var_os("AUTH0_SYNC_CATALOG").filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::with(Path::new(&folder)),
            None => Self::bundled(),
        }
    }

    /// The bundled catalogue with the files of a folder (`<tag>/<table>.toml`) over it.
    ///
    /// # Errors
    /// `config` where the folder cannot be read; `catalog`, naming the file.
    pub fn with(folder: &Path) -> Result<Catalog> {
        let unreadable = |path: &Path, error| {
            Error::with(Kind::Config, format!("cannot read the catalogue {}", path.display()), error)
        };
        let entries = |path: &Path| -> Result<Vec<PathBuf>> {
            let entries = fs::read_dir(path).map_err(|error| unreadable(path, error))?;
            let mut paths: Vec<_> =
                entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
            paths.sort();
            Ok(paths)
        };
        let mut files: IndexMap<String, String> =
            BUNDLED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        for tag in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
            for file in
                entries(&tag)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "toml"))
            {
                let text = fs::read_to_string(&file).map_err(|error| unreadable(&file, error))?;
                let name = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
                files.insert(name, text);
            }
        }
        Self::from_files(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))
    }

    /// A catalogue from `(<tag>/<table>.toml, text)` pairs.
    ///
    /// # Errors
    /// `catalog`, naming the file and the contradiction.
    pub fn from_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Catalog> {
        let mut resources = IndexMap::new();
        for (name, text) in files {
            let resource = parse(name, text)?;
            if resources.contains_key(&resource.table) {
                return Err(Error::new(
                    Kind::Catalog,
                    format!("{name}: table {} is described twice", resource.table),
                ));
            }
            resources.insert(resource.table.clone(), resource);
        }
        check::catalog(&resources)?;
        Ok(Self::of(parents_first(resources)?, Vec::new()))
    }

    /// A part of a catalogue: resources in its order.
    pub(super) fn of(resources: IndexMap<String, Resource>, follows: Vec<Follows>) -> Catalog {
        let mut sources: HashMap<String, Vec<(usize, usize)>> = HashMap::new();
        for (place, resource) in resources.values().enumerate().filter(|(_, resource)| resource.is_read()) {
            for (n, list) in resource.list.iter().enumerate() {
                for table in list.sources() {
                    let lists = sources.entry(table.to_owned()).or_default();
                    if lists.last() != Some(&(place, n)) {
                        lists.push((place, n));
                    }
                }
            }
        }
        Catalog { resources, follows, sources }
    }

    /// The lists that go by rows of a table, with the resources that they show. It is looked up for
    /// every row that is stored, so it is not searched for.
    pub fn listed_by(&self, table: &str) -> impl Iterator<Item = (&Resource, &List)> {
        let places = self.sources.get(table).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|(place, n)| {
            let (_, resource) = self.resources.get_index(*place)?;
            Some((resource, resource.list.get(*n)?))
        })
    }

    /// Of a selected part: the tables that are or are not in it because of others.
    pub fn follows(&self) -> &[Follows] {
        &self.follows
    }

    /// The resource of a mirror table.
    pub fn get(&self, table: &str) -> Option<&Resource> {
        self.resources.get(table)
    }

    /// The resource of a mirror table that must exist.
    ///
    /// # Errors
    /// `internal`: somebody handed on a name that never came from the catalogue.
    pub fn resource(&self, table: &str) -> Result<&Resource> {
        self.get(table)
            .ok_or_else(|| Error::new(Kind::Internal, format!("table {table} is not in the catalogue")))
    }

    /// Every resource, parents before children.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Resource> {
        self.resources.values()
    }

    /// The resource of which the service itself makes rows for a purpose.
    ///
    /// # Errors
    /// `catalog` where none serves it.
    pub fn serving(&self, purpose: Serves) -> Result<&Resource> {
        let missing = || Error::new(Kind::Catalog, format!("no resource serves {purpose:?}"));
        self.iter().find(|resource| resource.serves == Some(purpose)).ok_or_else(missing)
    }

    /// Every type of event that tells of a table.
    pub fn event_types(&self) -> impl Iterator<Item = &str> {
        self.iter()
            .filter_map(|resource| resource.event.as_ref())
            .flat_map(|event| event.types())
            .map(|(name, _)| name)
    }

    /// Resources with a column that references `table`, with that column's name.
    pub fn children<'a>(&'a self, table: &'a str) -> impl Iterator<Item = (&'a Resource, &'a str)> + 'a {
        self.iter().flat_map(move |resource| {
            resource
                .columns
                .iter()
                .filter(move |(_, column)| column.references.as_deref() == Some(table))
                .map(move |(name, _)| (resource, name.as_str()))
        })
    }

    /// Tables whose rows need a row of `table` with a key of several columns, and which of their
    /// columns hold that key.
    pub fn dependents<'a>(
        &'a self,
        table: &'a str,
    ) -> impl Iterator<Item = (&'a Resource, &'a [String])> + 'a {
        self.iter().filter_map(move |resource| Some((resource, resource.depends.get(table)?.as_slice())))
    }

    /// Tables whose rows take those of `resource` along when they go, each with the columns of the
    /// key that hold theirs: what the key references, depends on, or can be listed below alone.
    pub fn above<'a>(&'a self, resource: &'a Resource) -> impl Iterator<Item = (&'a str, Vec<&'a str>)> + 'a {
        let in_key = |column: &&str| resource.key.iter().any(|key| key == column);
        let referenced = resource.key.iter().filter_map(|column| {
            Some((resource.columns.get(column)?.references.as_deref()?, vec![column.as_str()]))
        });
        let depended = resource.depends.iter().map(|(parent, columns)| {
            (parent.as_str(), columns.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let listed =
            self.only_listed_below(resource).map(|(parent, columns)| (parent.table.as_str(), columns));
        let above = referenced.chain(depended).chain(listed);
        above.filter(move |(_, columns)| columns.iter().all(&in_key))
    }

    /// The table below whose rows alone a resource can be listed, and the columns that hold its key.
    pub fn only_listed_below<'a>(&'a self, resource: &'a Resource) -> Option<(&'a Resource, Vec<&'a str>)> {
        let [list] = resource.list.as_slice() else { return None };
        let parent = self.get(list.parent.as_deref()?)?;
        let supplied = list.supplied(parent);
        let holding = |key: &String| Some(supplied.iter().find(|(_, column)| column == key)?.0);
        let columns: Vec<&str> = parent.key.iter().map(holding).collect::<Option<_>>()?;
        let named = |(name, column): &(&str, &str)| {
            resource.key.iter().any(|key| key == name) && parent.key.iter().any(|key| key == column)
        };
        supplied.iter().all(named).then_some((parent, columns))
    }

    /// Tables of Postgres with a column that holds the last part of a key of `table`, each once.
    pub fn holders<'a>(&'a self, table: &'a str) -> impl Iterator<Item = (&'a Resource, &'a str)> + 'a {
        let last =
            |(resource, columns): (&'a Resource, &'a [String])| Some((resource, columns.last()?.as_str()));
        let whole = self.dependents(table).filter_map(last).filter(move |(resource, column)| {
            resource.columns.get(*column).and_then(|c| c.references.as_deref()) != Some(table)
        });
        self.children(table).chain(whole).filter(|(resource, _)| resource.is_table())
    }
}

fn parse(name: &str, text: &str) -> Result<Resource> {
    let wrong = |what: String| Error::new(Kind::Catalog, format!("{name}: {what}"));
    let (tag, file) =
        name.split_once('/').ok_or_else(|| wrong("not below a folder named after a tag".into()))?;
    let mut resource: Resource = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if file.strip_suffix(".toml") != Some(resource.table.as_str()) {
        return Err(wrong(format!("describes table {}", resource.table)));
    }
    resource.tag = tag.to_owned();
    if resource.kind == ResourceKind::Command {
        complete_command(&mut resource);
    }
    check::resource(&resource).map_err(wrong)?;
    Ok(resource)
}

/// Key, state, error and times, which every command table has: first what tells one from another.
fn complete_command(resource: &mut Resource) {
    resource.key = vec!["id".to_owned()];
    resource.new_key = NewKey::Client { prefix: "cmd_".to_owned(), strip_prefix: false };
    let described = std::mem::take(&mut resource.columns);
    let mut key = Column::read_only(ColumnType::Text, "Key of the row; made on INSERT where none is given.");
    key.class = Class::CreateOnly;
    let common = [
        (
            "state",
            ColumnType::Text,
            "How far it has got: `pending`, `done`, `failed`, or `unknown` where the answer was lost.",
        ),
        ("error", ColumnType::Jsonb, "Why it failed: kind, status, error, message, errorCode."),
        ("requested_at", ColumnType::Timestamptz, "When the row was inserted."),
        ("answered_at", ColumnType::Timestamptz, "When the outcome became final."),
    ];
    resource.columns.insert("id".to_owned(), key);
    resource.columns.extend(described);
    for (name, kind, comment) in common {
        resource.columns.insert(name.to_owned(), Column::read_only(kind, comment));
    }
}

fn parents_first(mut rest: IndexMap<String, Resource>) -> Result<IndexMap<String, Resource>> {
    let mut sorted = IndexMap::with_capacity(rest.len());
    while !rest.is_empty() {
        let ready: Vec<String> = rest
            .values()
            .filter(|resource| {
                resource.parents().all(|parent| parent == resource.table || sorted.contains_key(parent))
            })
            .map(|resource| resource.table.clone())
            .collect();
        if ready.is_empty() {
            let names: Vec<_> = rest.keys().map(String::as_str).collect();
            return Err(Error::new(
                Kind::Catalog,
                format!("references go in a circle: {}", names.join(", ")),
            ));
        }
        for table in ready {
            if let Some(resource) = rest.shift_remove(&table) {
                sorted.insert(table, resource);
            }
        }
    }
    Ok(sorted)
}
