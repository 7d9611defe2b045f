//! Reads the catalogue's files; an error names the file and what is wrong in it.

use indexmap::IndexMap;

use super::{check, model::Resource};
use crate::error::{Error, Kind, Result};

const BUNDLED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalog_files.rs"));

/// Every resource, parents before children.
#[derive(Clone, Debug)]
pub struct Catalog {
    resources: IndexMap<String, Resource>,
}

impl Catalog {
    /// The catalogue that this program was built with.
    ///
    /// # Errors
    /// `catalog`, naming the file: a fault of the build, so tests catch it.
    pub fn bundled() -> Result<Catalog> {
        Self::from_files(BUNDLED.iter().copied())
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
        Ok(Catalog { resources: parents_first(resources)? })
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
    check::resource(&resource).map_err(wrong)?;
    Ok(resource)
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
