//! Whether the mirror equals the tenant. It shares the catalogue's data with the service and no
//! code: a mistake in the service's reading of answers must show here.

use std::collections::{BTreeMap, BTreeSet};

use auth0_sync::catalog::{Catalog, Class, Column, ColumnType, NewKey, Resource, ResourceKind, Selection};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgPool};

use super::Stand;

type Fields = Map<String, Value>;

/// Every difference between the mirror's tables and what the emulator holds, one sentence each;
/// empty when they are equal. Look when no mutation is unsettled: those are differences too.
pub async fn compare(stand: &Stand) -> Vec<String> {
    let state = stand.emulator.api.get("/_emulator/state").await;
    let admin = stand.admin().await;
    let mut differences = Vec::new();
    let selection = Selection { objects: stand.objects.clone(), ..Selection::default() };
    let catalog = Catalog::bundled().unwrap().selected(&selection).unwrap();
    for resource in catalog.iter().filter(|resource| resource.is_read()) {
        let there =
            tenant_rows(resource, state[&resource.table].as_array().expect("the state has every table"));
        let here = mirror_rows(&admin, resource).await;
        for key in there.keys().chain(here.keys()).collect::<BTreeSet<_>>() {
            let name = format!("{} {}", resource.table, key.join(", "));
            match (there.get(key), here.get(key)) {
                (Some(_), None) => differences.push(format!("{name}: only at Auth0")),
                (None, Some(_)) => differences.push(format!("{name}: only in the mirror")),
                (Some(there), Some(here)) => differences.extend(
                    there.keys().chain(here.keys()).collect::<BTreeSet<_>>().into_iter().filter_map(
                        |column| {
                            let (there, here) = (there.get(column), here.get(column));
                            let shown =
                                |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
                            (there != here).then(|| {
                                format!(
                                    "{name}.{column}: {} at Auth0, {} in the mirror",
                                    shown(there),
                                    shown(here)
                                )
                            })
                        },
                    ),
                ),
                (None, None) => {}
            }
        }
    }
    admin.close().await;
    differences
}

async fn mirror_rows(pool: &PgPool, resource: &Resource) -> BTreeMap<Vec<String>, Fields> {
    let sql = format!("select to_jsonb(t) from auth0.\"{}\" t", resource.table);
    let rows: Vec<Value> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(pool).await.unwrap();
    let rows = rows.into_iter().map(|row| {
        let mut row = row.as_object().unwrap().clone();
        row.retain(|_, value| !value.is_null());
        for (name, column) in &resource.columns {
            if let Some(value) = row.get_mut(name) {
                *value = comparable(column, value).unwrap_or_else(|| value.clone());
            }
        }
        (key(resource, &row), row)
    });
    rows.collect()
}

/// The tenant's rows as the tables ought to show them.
fn tenant_rows(resource: &Resource, objects: &[Value]) -> BTreeMap<Vec<String>, Fields> {
    let rows = objects.iter().map(|object| {
        let mut rest = object.as_object().unwrap().clone();
        rest.retain(|_, value| !value.is_null());
        let mut row = Fields::new();
        for (name, column) in &resource.columns {
            let Some(value) = rest.shift_remove(column.field.as_deref().unwrap_or(name)) else { continue };
            if column.class == Class::WriteOnly {
                continue;
            }
            match comparable(column, &value) {
                Some(value) => row.insert(name.clone(), value),
                None => rest.insert(name.clone(), value),
            };
        }
        if let NewKey::Fixed { value } = &resource.new_key {
            row.insert(resource.key[0].clone(), value.as_str().into());
        }
        if resource.kind != ResourceKind::Association && !rest.is_empty() {
            row.insert("extra".into(), Value::Object(rest));
        }
        (key(resource, &row), row)
    });
    rows.collect()
}

fn key(resource: &Resource, row: &Fields) -> Vec<String> {
    resource.key.iter().map(|column| row[column].as_str().unwrap().to_owned()).collect()
}

/// A value in a form in which equal ones are equal; none where the column cannot hold it.
fn comparable(column: &Column, value: &Value) -> Option<Value> {
    match column.kind {
        ColumnType::Text if value.is_number() || value.is_boolean() => Some(value.to_string().into()),
        ColumnType::Text => value.is_string().then(|| value.clone()),
        ColumnType::Boolean => value.is_boolean().then(|| value.clone()),
        ColumnType::Bigint => value.as_f64().filter(|number| number.fract() == 0.0).map(Value::from),
        ColumnType::Double => value.as_f64().map(Value::from),
        ColumnType::Timestamptz => {
            let time = DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
            Some(time.with_timezone(&Utc).to_rfc3339().into())
        }
        ColumnType::TextArray => {
            value.as_array().is_some_and(|items| items.iter().all(Value::is_string)).then(|| value.clone())
        }
        ColumnType::Jsonb => Some(value.clone()),
    }
}
