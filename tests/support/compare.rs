//! Whether the mirror equals the tenant. It shares the catalogue's data with the service and no
//! code: a mistake in the service's reading of answers must show here.

use std::collections::{BTreeMap, BTreeSet};

use auth0_sync::catalog::{
    Catalog, Class, Column, ColumnType, Each, List, NewKey, Paging, Resource, ResourceKind,
};
use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgPool};

use super::{Api, Stand};

type Fields = Map<String, Value>;
type Rows = BTreeMap<Vec<String>, Fields>;

/// Every difference between the mirror's tables and what the emulator holds, one sentence each;
/// empty when they are equal. Tables that Auth0 refuses to show are left out. Look when no mutation is unsettled: those are differences too.
pub async fn compare(stand: &Stand) -> Vec<String> {
    let state = stand.emulator.api.get("/_emulator/state").await;
    let admin = stand.admin().await;
    let mut differences = Vec::new();
    let catalog = Catalog::bundled().unwrap();
    let tables = tables(&admin).await;
    for object in stand.objects.iter().filter(|object| *object != "*" && !object.starts_with('-')) {
        let is_table = catalog.get(object).is_some_and(Resource::is_table);
        assert!(
            !is_table || tables.contains(object),
            "there is no table {object}, or Auth0 does not show it"
        );
    }
    for resource in catalog.iter().filter(|resource| tables.contains(&resource.table)) {
        let here = mirror_rows(&admin, resource).await;
        if resource.kind == ResourceKind::Retired {
            differences
                .extend(here.keys().map(|key| format!("{} {}: retired", resource.table, key.join(", "))));
        }
        if !resource.is_read() {
            continue;
        }
        let objects = state[&resource.table].as_array().expect("the state has every table");
        table(
            &stand.emulator.api,
            &catalog,
            resource,
            &tenant_rows(resource, objects),
            &here,
            &mut differences,
        )
        .await;
    }
    admin.close().await;
    differences
}

/// The differences of one table.
async fn table(
    api: &Api,
    catalog: &Catalog,
    resource: &Resource,
    there: &Rows,
    here: &Rows,
    differences: &mut Vec<String>,
) {
    let unlisted = is_unlisted(catalog, resource);
    for key in there.keys().chain(here.keys()).collect::<BTreeSet<_>>() {
        let name = format!("{} {}", resource.table, key.join(", "));
        match (there.get(key), here.get(key)) {
            (Some(_), None) if unlisted => {}
            (Some(_), None) => differences.push(format!("{name}: only at Auth0")),
            (None, Some(_)) if resource.keeps_rows => {}
            (None, Some(row)) => {
                // The emulator holds no row of what it makes up when it is asked.
                match shown(api, resource, row).await {
                    Some(there) => columns(resource, &name, &there, row, differences),
                    None => differences.push(format!("{name}: only in the mirror")),
                }
            }
            (Some(there), Some(here)) => columns(resource, &name, there, here, differences),
            (None, None) => {}
        }
    }
}

fn columns(resource: &Resource, name: &str, there: &Fields, here: &Fields, differences: &mut Vec<String>) {
    let shown = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
    for column in there.keys().chain(here.keys()).collect::<BTreeSet<_>>() {
        let (at_auth0, mirrored) = (there.get(column), here.get(column));
        let is_kept = resource.columns.get(column).is_some_and(|column| column.kept);
        // A link's list shows the other side too, and the emulator holds the link alone.
        let of_the_other_side = resource.kind == ResourceKind::Association;
        if at_auth0 == mirrored || (at_auth0.is_none() && (is_kept || of_the_other_side)) {
            continue;
        }
        differences.push(format!(
            "{name}.{column}: {} at Auth0, {} in the mirror",
            shown(at_auth0),
            shown(mirrored)
        ));
    }
}

/// Whether Auth0 may have rows that no list leads to: those that clients do not ask for.
fn is_unlisted(catalog: &Catalog, resource: &Resource) -> bool {
    let some = |list: &List| {
        let parent = list.parent.as_deref().and_then(|table| catalog.get(table));
        parent.is_some_and(|parent| !parent.kind.is_read())
            || !list.only.is_empty()
            || list.each.values().any(|each| matches!(each, Each::Of { .. }))
    };
    !resource.list.is_empty() && resource.list.iter().all(some)
}

/// The row as the API shows it: by its own call, else among those of a list that its values name.
async fn shown(api: &Api, resource: &Resource, row: &Fields) -> Option<Fields> {
    let filled = |template: &str| {
        let parts =
            template.split('/').map(|part| match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
                Some(column) => {
                    let text = row.get(column)?.as_str()?;
                    Some(
                        url::form_urlencoded::byte_serialize(text.as_bytes())
                            .collect::<String>()
                            .replace('+', "%20"),
                    )
                }
                None => Some(part.to_owned()),
            });
        Some(format!("/api/v2{}", parts.collect::<Option<Vec<_>>>()?.join("/")))
    };
    let ask = async |path: String| match api.send(Method::GET, &path, None).await {
        (StatusCode::OK, answer) => Some(answer),
        _ => None,
    };
    if let Some(get) = &resource.get {
        return Some(answer_row(resource, row, ask(filled(&get.path)?).await?));
    }
    for list in &resource.list {
        let Some(path) = filled(&list.path) else { continue };
        let mut pairs = vec![match list.paging {
            Paging::Offset => format!("per_page={}&page=0&include_totals=true", list.per_page),
            Paging::Checkpoint | Paging::Both => format!("take={}", list.per_page),
            _ => String::new(),
        }];
        for (name, value) in &list.query {
            let column = value.strip_prefix('{').and_then(|value| value.strip_suffix('}'));
            let value = column.map_or(Some(value.as_str()), |column| row.get(column)?.as_str())?;
            pairs
                .push(url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish());
        }
        let Some(answer) = ask(format!("{path}?{}", pairs.join("&"))).await else { continue };
        let items = match (&list.array, &answer) {
            (Some(array), Value::Object(envelope)) => envelope.get(array).cloned().unwrap_or_default(),
            (_, Value::Array(_)) => answer,
            _ => return Some(answer_row(resource, row, answer)),
        };
        let items = items.as_array().cloned().unwrap_or_default();
        let found = items.into_iter().map(|item| listed_row(resource, list, row, item));
        let same = |other: &Fields| resource.key.iter().all(|column| other.get(column) == row.get(column));
        if let Some(found) = found.into_iter().find(same) {
            return Some(found);
        }
    }
    None
}

/// A listed item as the table ought to show it; the columns of the path are those of `row`.
fn listed_row(resource: &Resource, list: &List, row: &Fields, item: Value) -> Fields {
    let item = match (item, &list.item) {
        (Value::Object(item), _) => item,
        (bare, Some(column)) => Map::from_iter([(column.clone(), bare)]),
        _ => Map::new(),
    };
    let mut found = Fields::new();
    for (name, column) in &resource.columns {
        let field = list.fields.get(name).map_or(column.field.as_deref().unwrap_or(name), String::as_str);
        let value =
            field.split('.').try_fold(&Value::Object(item.clone()), |value, part| value.get(part)).cloned();
        if let Some(value) =
            value.filter(|value| !value.is_null()).and_then(|value| comparable(column, &value))
        {
            found.insert(name.clone(), value);
        }
    }
    let named = list.path.split('/').chain(list.query.values().map(String::as_str));
    for column in named.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        found.extend(row.get(column).map(|value| (column.to_owned(), value.clone())));
    }
    for key in &resource.key {
        found.entry(key.clone()).or_insert_with(|| Value::String(String::new()));
    }
    found
}

/// The answer of a row's own call as the table ought to show it.
fn answer_row(resource: &Resource, row: &Fields, answer: Value) -> Fields {
    let object = match (&resource.whole, answer) {
        (Some(column), answer) => {
            Map::from_iter([(resource.columns[column].field.clone().unwrap_or(column.clone()), answer)])
        }
        (None, Value::Object(object)) => object,
        (None, _) => Map::new(),
    };
    let mut found = tenant_row(resource, &Value::Object(object));
    for key in &resource.key {
        found.extend(row.get(key).map(|value| (key.clone(), value.clone())));
    }
    found
}

async fn tables(pool: &PgPool) -> BTreeSet<String> {
    let sql = "select c.relname::text from pg_class c where c.relnamespace = 'auth0'::regnamespace and c.relkind = 'r' \
               and not exists (select from _auth0_sync.backfill b where b.\"table\" = c.relname and b.state = 'unavailable')";
    sqlx::query_scalar::<_, String>(sql).fetch_all(pool).await.unwrap().into_iter().collect()
}

async fn mirror_rows(pool: &PgPool, resource: &Resource) -> Rows {
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
fn tenant_rows(resource: &Resource, objects: &[Value]) -> Rows {
    objects.iter().map(|object| tenant_row(resource, object)).map(|row| (key(resource, &row), row)).collect()
}

fn tenant_row(resource: &Resource, object: &Value) -> Fields {
    let mut rest = object.as_object().unwrap().clone();
    rest.retain(|_, value| !value.is_null());
    let mut row = Fields::new();
    for (name, column) in &resource.columns {
        let field = column.field.as_deref().unwrap_or(name);
        let Some(value) = rest.shift_remove(field) else { continue };
        if column.class == Class::WriteOnly {
            continue;
        }
        match comparable(column, &value) {
            Some(value) => row.insert(name.clone(), value),
            None => rest.insert(field.to_owned(), value),
        };
    }
    if let NewKey::Fixed { value } = &resource.new_key {
        row.insert(resource.key[0].clone(), value.as_str().into());
    }
    if resource.kind != ResourceKind::Association && !rest.is_empty() {
        row.insert("extra".into(), Value::Object(rest));
    }
    row
}

fn key(resource: &Resource, row: &Fields) -> Vec<String> {
    let part = |column: &String| row.get(column).and_then(Value::as_str).unwrap_or_default().to_owned();
    resource.key.iter().map(part).collect()
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
        ColumnType::Jsonb => Some(without_secrets(column, value)),
    }
}

/// The value without what no table shows.
fn without_secrets(column: &Column, value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        column.secret_keys.iter().for_each(|key| drop(object.shift_remove(key)));
    }
    for path in &column.secret_paths {
        remove(&mut value, &path.split('.').collect::<Vec<_>>());
    }
    value
}

fn remove(value: &mut Value, path: &[&str]) {
    match (path, value) {
        (["[]", rest @ ..], Value::Array(items)) => items.iter_mut().for_each(|item| remove(item, rest)),
        ([last], Value::Object(object)) => drop(object.shift_remove(*last)),
        ([first, rest @ ..], Value::Object(object)) => {
            if let Some(inner) = object.get_mut(*first) {
                remove(inner, rest);
            }
        }
        _ => {}
    }
}
