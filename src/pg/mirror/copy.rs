//! Rows in the form of COPY BINARY, straight from a line of JSON where the line is as it usually is.
//! Whatever is not (escapes of code points, other types, unknown fields) goes by way of the row that `shape`
//! makes of it; a property test holds that both ways mean the same.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use bytes::{BufMut, BytesMut};
use chrono::DateTime;
use postgres_protocol::IsNull;
use postgres_protocol::types::{
    ArrayDimension, array_to_sql, bool_to_sql, float8_to_sql, int8_to_sql, text_to_sql, timestamp_to_sql,
};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Row;
use super::instant::{POSTGRES_EPOCH, instant};
use super::shape::row_from_auth0;
use crate::catalog::{Class, ColumnType, NewKey, Resource, RowKey};
use crate::error::{Error, Kind, Result};

/// What every COPY BINARY begins with: signature, flags, length of the header's extension.
pub const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub const COPY_TRAILER: &[u8] = &[0xff, 0xff];

const EXTRA: &str = "extra";
/// OID of `text`, which stands before the items of an array.
const TEXT: u32 = 25;
/// The version of jsonb's binary form.
const JSONB_VERSION: u8 = 1;

/// Where the fields of a resource's JSON stand in its tuples.
#[derive(Debug)]
pub struct Layout {
    columns: Vec<(String, ColumnType)>,
    fields: HashMap<String, Place>,
    /// The places of the key's columns.
    key: Vec<usize>,
    /// A field inside an object is told from others by the slow way alone.
    nested: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Column(usize),
    /// Known, and not mirrored.
    Nowhere,
    /// Parts of it are never stored.
    Partly,
    Unknown,
}

impl Layout {
    /// The layout of a table: its columns that are ever filled, and `extra`.
    pub fn of(resource: &Resource) -> Layout {
        let mut layout =
            Layout { columns: Vec::new(), fields: HashMap::new(), key: Vec::new(), nested: false };
        for (name, column) in &resource.columns {
            let field = resource.field(name);
            let place = match (column.class, column.hides_parts()) {
                (Class::WriteOnly, _) => Place::Nowhere,
                (_, true) => Place::Partly,
                _ => Place::Column(layout.columns.len()),
            };
            layout.nested |= field.contains('.') || layout.fields.insert(field.to_owned(), place).is_some();
            if column.class != Class::WriteOnly {
                layout.columns.push((name.clone(), column.kind));
            }
        }
        for (name, column) in &resource.hidden {
            layout.fields.insert(column.field.clone().unwrap_or_else(|| name.clone()), Place::Nowhere);
        }
        layout.columns.push((EXTRA.to_owned(), ColumnType::Jsonb));
        let place = |key: &String| layout.columns.iter().position(|(name, _)| name == key);
        layout.key = resource.key.iter().filter_map(place).collect();
        // Keys and values that stand not in the answer as they are.
        layout.nested |= layout.key.len() != resource.key.len()
            || resource.whole.is_some()
            || matches!(resource.new_key, NewKey::Fixed { .. });
        layout
    }

    /// The columns in the order of the tuples.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Appends the tuple of a line of JSON, an object; its key.
    ///
    /// # Errors
    /// `auth0_answer` where it is no object, or none with a key.
    pub fn line(&self, resource: &Resource, line: &str, out: &mut BytesMut) -> Result<RowKey> {
        let start = out.len();
        if let Some(key) = self.direct(line, out) {
            return Ok(key);
        }
        out.truncate(start);
        let row = row_of_line(resource, line)?;
        let key = RowKey::of(resource, &row);
        let key = key.ok_or_else(|| Error::new(Kind::Auth0Answer, "a line of the export has no key"))?;
        self.row(&row, out)?;
        Ok(key)
    }

    /// Appends the tuple of a row.
    ///
    /// # Errors
    /// `internal` where a value is not of its column's type.
    pub fn row(&self, row: &Row, out: &mut BytesMut) -> Result<()> {
        out.put_i16(self.columns.len() as i16);
        for (name, kind) in &self.columns {
            match row.get(name).filter(|value| !value.is_null()) {
                None => out.put_i32(-1),
                Some(value) => {
                    let written = sized(out, |out| fitted(*kind, value, out));
                    written.ok_or_else(|| {
                        Error::new(Kind::Internal, format!("a value of column {name} is not of its type"))
                    })?;
                }
            }
        }
        Ok(())
    }

    /// The same as [`Layout::line`] for lines of the usual kind; none, with some of the tuple written, for others.
    fn direct(&self, line: &str, out: &mut BytesMut) -> Option<RowKey> {
        if self.nested {
            return None;
        }
        let mut reader = serde_json::Deserializer::from_str(line);
        let values = Fields(self).deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        out.put_i16(self.columns.len() as i16);
        for (value, (_, kind)) in values.iter().zip(&self.columns) {
            match value {
                None => out.put_i32(-1),
                Some(raw) => sized(out, |out| direct(*kind, raw, out))?,
            }
        }
        let key = self.key.iter().map(|place| Some(text(values.get(*place).copied()??)?.into_owned()));
        key.collect::<Option<Vec<_>>>().map(RowKey)
    }
}

/// The row of a line of JSON.
///
/// # Errors
/// `auth0_answer` where it is no object.
pub fn row_of_line(resource: &Resource, line: &str) -> Result<Row> {
    let read = serde_json::from_str(line);
    let object = read.map_err(|error| {
        Error::with(Kind::Auth0Answer, "a line of the export is no JSON object", Position::of(&error))
    })?;
    Ok(row_from_auth0(resource, &object, |_| None))
}

/// Where a line cannot be read; serde's own words may quote it.
#[derive(Debug)]
struct Position(usize);

impl Position {
    fn of(error: &serde_json::Error) -> Self {
        Position(error.column())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {} of the line", self.0)
    }
}

impl std::error::Error for Position {}

/// Writes a value with its length before it.
fn sized(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut) -> Option<()>) -> Option<()> {
    let start = out.len();
    out.put_i32(0);
    write(out)?;
    let length = i32::try_from(out.len() - start - 4).ok()?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Some(())
}

/// A value of JSON text, where its form is the usual one.
fn direct(kind: ColumnType, raw: &str, out: &mut BytesMut) -> Option<()> {
    match kind {
        ColumnType::Text => text_to_sql(&text(raw)?, out),
        ColumnType::Boolean => bool_to_sql(raw.parse().ok()?, out),
        ColumnType::Bigint => int8_to_sql(raw.parse().ok()?, out),
        ColumnType::Double => double(raw.parse().ok()?, out)?,
        ColumnType::Timestamptz => timestamp_to_sql(instant(raw.strip_prefix('"')?.strip_suffix('"')?)?, out),
        ColumnType::TextArray => array(&serde_json::from_str::<Vec<String>>(raw).ok()?, out)?,
        ColumnType::Jsonb => {
            // Postgres takes neither NUL nor half a character.
            if raw.contains('\\') && raw.contains("\\u") {
                return None;
            }
            out.put_u8(JSONB_VERSION);
            out.put_slice(raw.as_bytes());
        }
    }
    Some(())
}

/// A value in the form that `shape` gives it.
fn fitted(kind: ColumnType, value: &Value, out: &mut BytesMut) -> Option<()> {
    match kind {
        ColumnType::Text => text_to_sql(value.as_str()?, out),
        ColumnType::Boolean => bool_to_sql(value.as_bool()?, out),
        ColumnType::Bigint => int8_to_sql(value.as_i64()?, out),
        ColumnType::Double => double(value.as_f64()?, out)?,
        ColumnType::Timestamptz => {
            let time = DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
            timestamp_to_sql(time.timestamp_micros() - POSTGRES_EPOCH, out);
        }
        ColumnType::TextArray => {
            let items = value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned));
            array(&items.collect::<Option<Vec<_>>>()?, out)?;
        }
        ColumnType::Jsonb => {
            out.put_u8(JSONB_VERSION);
            serde_json::to_writer(out.writer(), value).ok()?;
        }
    }
    Some(())
}

/// A text of JSON without the NULs that Postgres does not take.
fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let text: String = serde_json::from_str(raw).ok()?;
    Some(Cow::Owned(if text.contains('\0') { text.replace('\0', "") } else { text }))
}

fn double(value: f64, out: &mut BytesMut) -> Option<()> {
    // Zero has no sign in the rows that `shape` makes.
    value.is_finite().then(|| float8_to_sql(if value == 0.0 { 0.0 } else { value }, out))
}

fn array(items: &[String], out: &mut BytesMut) -> Option<()> {
    let dimension = ArrayDimension { len: i32::try_from(items.len()).ok()?, lower_bound: 1 };
    let written = array_to_sql(
        (!items.is_empty()).then_some(dimension),
        TEXT,
        items,
        |item, out| {
            let clean = if item.contains('\0') { Cow::Owned(item.replace('\0', "")) } else { item.into() };
            text_to_sql(&clean, out);
            Ok(IsNull::No)
        },
        out,
    );
    written.ok()
}

/// Reads an object into JSON texts, one for each column; fails where a field is not of the usual kind.
struct Fields<'l>(&'l Layout);

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Vec<Option<&'de str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Vec<Option<&'de str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = vec![None; self.0.columns.len()];
        while let Some(place) = map.next_key_seed(Name(self.0))? {
            let raw: &'de RawValue = map.next_value()?;
            let value = Some(raw.get()).filter(|raw| *raw != "null");
            match place {
                Place::Column(column) => values[column] = value,
                Place::Nowhere => {}
                Place::Partly | Place::Unknown if value.is_none() => {}
                Place::Partly | Place::Unknown => return Err(A::Error::custom("not of the usual kind")),
            }
        }
        Ok(values)
    }
}

/// Finds the place of a field by its name.
struct Name<'l>(&'l Layout);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Place;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Place, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Place;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Place, E> {
        Ok(self.0.fields.get(name).copied().unwrap_or(Place::Unknown))
    }
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
