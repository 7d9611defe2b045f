//! The statements by which many rows, a JSON array in `$1`, meet a mirror table.

use super::bulk_follow::Follow;
use crate::catalog::Resource;
use crate::pg::mirror::{described, may_be_ours};
use crate::pg::{has_unsettled, ident, key_columns, literal, qualified};

/// The statements of one table for rows of which certain columns are known.
pub(super) struct Statements {
    /// Key, whether the mirror has it, whether its row is newer, whether it is touched, whether it differs: of rows
    /// that differ, and of touched ones.
    pub(super) look: String,
    /// Adds the rows that are not there and not touched; their keys.
    pub(super) insert: String,
    /// Removes what `insert` has added and a client has deleted meanwhile (`$1`: keys); their keys.
    pub(super) undo: String,
    /// Changes the rows that are there, not touched and not newer; their keys.
    pub(super) update: String,
    whole: bool,
    hold: (String, String),
}

impl Statements {
    /// The statements for rows that show every column.
    pub(super) fn whole(schema: &str, resource: &Resource) -> Statements {
        Self::new(schema, resource, described(resource))
    }

    /// Whether the rows show every column.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// `columns`: those that the rows can show.
    pub(super) fn new<'c>(
        schema: &str,
        resource: &Resource,
        columns: impl Iterator<Item = &'c str>,
    ) -> Statements {
        let name = qualified(schema, &resource.table);
        let columns: Vec<&str> = columns.collect();
        let quoted: Vec<_> = columns.iter().map(|column| ident(column)).collect();
        let list = quoted.join(", ");
        let keys = key_columns(resource);
        let of = |alias: &str, columns: &mut dyn Iterator<Item = &String>| {
            columns.map(|column| format!("{alias}.{}", ident(column))).collect::<Vec<_>>().join(", ")
        };
        let key_of = |alias: &str| of(alias, &mut resource.key.iter());
        // What Auth0 shows once and never again stays, and is no difference.
        let kept = |column: &str| resource.columns.get(column).is_some_and(|column| column.kept);
        let compared: Vec<String> = columns
            .iter()
            .filter(|column| !resource.key.iter().any(|key| key == *column) && !kept(column))
            .map(|column| (*column).to_owned())
            .collect();
        let differs = match compared.is_empty() {
            true => "false".to_owned(),
            false => format!(
                "({}) is distinct from ({})",
                of("t", &mut compared.iter()),
                of("r", &mut compared.iter())
            ),
        };
        let newer = match &resource.version {
            Some(version) => format!("coalesce(r.{0} < t.{0}, false)", ident(version)),
            None => "false".to_owned(),
        };
        let touched = |alias: &str| has_unsettled(schema, resource, alias);
        let ours = may_be_ours(resource, schema, "r");
        let unclaimed = ours.as_ref().map(|condition| format!(" and not {condition}")).unwrap_or_default();
        let first = resource.key.first().map(|column| ident(column)).unwrap_or_default();
        let claimed =
            ours.as_ref().map(|ours| format!(" or (t.{first} is null and {ours})")).unwrap_or_default();
        let rows = format!("pg_catalog.jsonb_populate_recordset(null::{name}, $1) r");
        let same: Vec<_> = resource.key.iter().map(|key| format!("t.{0} = r.{0}", ident(key))).collect();
        let same = same.join(" and ");
        let parts: Vec<_> = resource.key.iter().map(|column| format!("k ->> {}", literal(column))).collect();
        let named = format!(
            "({}) in (select {} from pg_catalog.jsonb_array_elements($1) k)",
            key_of("t"),
            parts.join(", ")
        );
        let set = compared.iter().map(|column| format!("{0} = r.{0}", ident(column)));
        let kept = columns
            .iter()
            .filter(|column| kept(column))
            .map(|column| format!("{0} = coalesce(r.{0}, t.{0})", ident(column)));
        let set: Vec<_> = set.chain(kept).collect();
        let update = match compared.is_empty() {
            // Rows without anything but a key never differ.
            true => format!("select {} from {rows} where false", key_of("r")),
            false => format!(
                "update {name} t set {} from {rows} where {same} and not {newer} and not {} returning {}",
                set.join(", "),
                touched("t"),
                key_of("t")
            ),
        };
        Statements {
            whole: described(resource).all(|column| columns.contains(&column)),
            look: format!(
                "select {}, t.{first} is not null, {newer}, {}{claimed}, t.{first} is null or {differs} \
                 from {rows} left join {name} t on {same} where t.{first} is null or {differs} or {}",
                key_of("r"),
                touched("r"),
                touched("r"),
            ),
            insert: format!(
                "insert into {name} ({list}) select {list} from {rows} where not {}{unclaimed} \
                 on conflict do nothing returning {keys}",
                touched("r")
            ),
            undo: format!("delete from {name} t where {named} and {} returning {keys}", touched("t")),
            update,
            hold: (
                format!("select {}", key_of("t")),
                format!("from {name} t where {named} for update of t skip locked"),
            ),
        }
    }

    /// Locks the rows (`$1`: keys) that nobody holds; their keys, and what they have in the columns that
    /// others are listed by.
    pub(super) fn hold(&self, follow: &Follow) -> String {
        let pairs: Vec<_> =
            follow.columns.iter().map(|column| format!("{}, t.{}", literal(column), ident(column))).collect();
        let before = match pairs.is_empty() {
            true => "null::jsonb".to_owned(),
            false => {
                format!("pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object({}))", pairs.join(", "))
            }
        };
        format!("{}, {before} {}", self.hold.0, self.hold.1)
    }
}
