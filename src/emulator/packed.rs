//! Rows in little space. A row as a map takes kilobytes; as the text of its fields, one after the
//! other, hundreds of bytes, and one field can be looked at without the others.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::rules::Fields;
use super::store::Row;

/// The fields of a row: length (two bytes) and name, length (four bytes) and JSON text of each. The
/// hidden ones come behind the others.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    bytes: Arc<[u8]>,
    /// Where the hidden fields begin.
    shown: usize,
}

impl Packed {
    /// Packs a row; none where one of its fields is too long for that.
    pub(super) fn of(row: &Row) -> Option<Packed> {
        let mut bytes = Vec::with_capacity(1_024);
        write(&row.body, &mut bytes)?;
        let shown = bytes.len();
        write(&row.hidden, &mut bytes)?;
        Some(Packed { bytes: bytes.into(), shown })
    }

    /// The row that was packed.
    pub(super) fn row(&self, number: u64) -> Row {
        let (body, hidden) = self.bytes.split_at(self.shown);
        Row { body: read(body), hidden: read(hidden), number }
    }

    /// The JSON text of a field that the row shows.
    pub(super) fn text(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(own, _)| *own == name.as_bytes()).map(|(_, text)| text)
    }

    fn fields(&self) -> Parts<'_> {
        Parts(&self.bytes[..self.shown])
    }
}

/// Name and JSON text of one field after the other.
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        Some((name, text))
    }
}

fn write(fields: &Fields, bytes: &mut Vec<u8>) -> Option<()> {
    for (name, value) in fields {
        bytes.extend(u16::try_from(name.len()).ok()?.to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
        let start = bytes.len();
        bytes.extend([0; 4]);
        serde_json::to_writer(&mut *bytes, value).ok()?;
        let length = u32::try_from(bytes.len() - start - 4).ok()?;
        bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
    Some(())
}

fn read(bytes: &[u8]) -> Fields {
    Parts(bytes).map(|(name, text)| (String::from_utf8_lossy(name).into_owned(), value(text))).collect()
}

fn value(text: &[u8]) -> Value {
    // It was written by the same library.
    serde_json::from_slice(text).unwrap_or_default()
}

/// A row in either form.
#[derive(Clone, Debug)]
pub(super) enum Held {
    /// As it is worked with.
    Open(Arc<Row>),
    /// In little space.
    Packed(Packed),
}

impl Held {
    /// The row, unpacked where it is packed.
    pub(super) fn row(&self, number: u64) -> Cow<'_, Row> {
        match self {
            Held::Open(row) => Cow::Borrowed(row),
            Held::Packed(packed) => Cow::Owned(packed.row(number)),
        }
    }

    /// What it shows, field by field.
    pub(super) fn view(&self) -> View<'_> {
        match self {
            Held::Open(row) => View::Fields(&row.body),
            Held::Packed(packed) => View::Packed(packed),
        }
    }
}

/// What a row shows, of which a field can be had without the others.
#[derive(Clone, Copy, Debug)]
pub(super) enum View<'a> {
    /// A map.
    Fields(&'a Fields),
    /// A packed row.
    Packed(&'a Packed),
}

impl<'a> View<'a> {
    /// A field's value.
    pub(super) fn field(self, name: &str) -> Option<Cow<'a, Value>> {
        match self {
            View::Fields(fields) => fields.get(name).map(Cow::Borrowed),
            View::Packed(packed) => packed.text(name).map(|text| Cow::Owned(value(text))),
        }
    }

    /// Every field with its value.
    pub(super) fn fields(self) -> Vec<(Cow<'a, str>, Cow<'a, Value>)> {
        match self {
            View::Fields(fields) => {
                let borrowed = |(name, value): (&'a String, &'a Value)| {
                    (Cow::Borrowed(name.as_str()), Cow::Borrowed(value))
                };
                fields.iter().map(borrowed).collect()
            }
            View::Packed(packed) => {
                let parts = packed.fields();
                parts.map(|(name, text)| (String::from_utf8_lossy(name), Cow::Owned(value(text)))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_packed_row_comes_back_as_it_was_and_hides_what_it_hid() {
        let fields = |value: Value| value.as_object().unwrap().clone();
        let row = Row {
            body: fields(
                json!({"z": "ä\"\n", "a": null, "n": 1.5, "deep": {"b": [1, {"c": {}}], "a": ""}, "": []}),
            ),
            hidden: fields(json!({"password": "secret"})),
            number: 7,
        };
        let packed = Packed::of(&row).unwrap();
        let again = packed.row(7);
        assert_eq!((&again.body, &again.hidden, again.number), (&row.body, &row.hidden, 7));
        assert_eq!(again.body.keys().collect::<Vec<_>>(), row.body.keys().collect::<Vec<_>>());
        assert_eq!(packed.text("n"), Some(b"1.5".as_slice()));
        assert_eq!(packed.text("password"), None);
        let held = Held::Packed(packed);
        assert_eq!(held.view().field("z").as_deref(), Some(&json!("ä\"\n")));
        assert_eq!(held.view().fields().len(), 5);
    }
}
