use super::*;
use std::sync::LazyLock;

use crate::catalog::Catalog;
use proptest::prelude::*;
use serde_json::{Map, json};

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::bundled().unwrap());

/// Columns and what they hold.
type Meaning = Vec<(String, Option<Value>)>;

/// What a tuple means: columns by name, jsonb as the value that it holds.
fn meaning(layout: &Layout, tuple: &[u8]) -> Meaning {
    let count = i16::from_be_bytes(tuple[..2].try_into().unwrap());
    assert_eq!(usize::try_from(count).unwrap(), layout.columns.len());
    let (mut rest, mut found) = (&tuple[2..], Vec::new());
    for (name, kind) in &layout.columns {
        let length = i32::from_be_bytes(rest[..4].try_into().unwrap());
        rest = &rest[4..];
        let Ok(length) = usize::try_from(length) else {
            found.push((name.clone(), None));
            continue;
        };
        let (bytes, after) = rest.split_at(length);
        rest = after;
        let value = match kind {
            ColumnType::Jsonb => {
                assert_eq!(bytes[0], JSONB_VERSION);
                serde_json::from_slice(&bytes[1..]).unwrap()
            }
            _ => json!(bytes),
        };
        found.push((name.clone(), Some(value)));
    }
    assert!(rest.is_empty());
    found
}

/// The tuple by the fast way, where it takes the line, and by the slow one.
fn both(resource: &Resource, line: &str) -> (Option<Meaning>, Meaning) {
    let layout = Layout::of(resource);
    let (mut fast, mut slow) = (BytesMut::new(), BytesMut::new());
    let key = layout.direct(line, &mut fast);
    let row = row_of_line(resource, line).unwrap();
    layout.row(&row, &mut slow).unwrap();
    if key.is_some() {
        assert_eq!(key, RowKey::of(resource, &row));
    }
    (key.map(|_| meaning(&layout, &fast)), meaning(&layout, &slow))
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", "\\PC{0,8}", "[\\x00\"\\\\/\\x08\t\n\u{7f}é😀]{0,6}"]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e12..1e12_f64).prop_map(Value::from),
        any_text().prop_map(Value::from),
        "20[0-9]{2}-0[1-9]-[0-2][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,7})?(Z|\\+02:00)"
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any_text(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Objects with a key, and any values, mostly fitting ones, in any fields.
fn any_object(fields: Vec<(String, ColumnType)>) -> impl Strategy<Value = Map<String, Value>> {
    let fitting = |kind: ColumnType| -> BoxedStrategy<Value> {
        match kind {
            ColumnType::Text => any_text().prop_map(Value::from).boxed(),
            ColumnType::Boolean => any::<bool>().prop_map(Value::from).boxed(),
            ColumnType::Bigint => any::<i32>().prop_map(Value::from).boxed(),
            ColumnType::Double => {
                prop_oneof![any::<i32>().prop_map(f64::from), -1e9..1e9_f64].prop_map(Value::from).boxed()
            }
            ColumnType::Timestamptz => {
                "20[0-9]{2}-0[1-9]-[0-2][1-8]T[01][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z"
                    .prop_map(Value::from)
                    .boxed()
            }
            ColumnType::TextArray => prop::collection::vec(any_text(), 0..4).prop_map(Value::from).boxed(),
            ColumnType::Jsonb => any_json(),
        }
    };
    fn any_json() -> BoxedStrategy<Value> {
        super::tests::any_json().boxed()
    }
    let values: Vec<_> = fields
        .into_iter()
        .map(|(name, kind)| {
            let value = prop_oneof![6 => fitting(kind).prop_map(Some), 2 => Just(None), 1 => any_json().prop_map(Some)];
            value.prop_map(move |value| (name.clone(), value))
        })
        .collect();
    (values, prop::option::weighted(0.2, any_json())).prop_map(|(fields, unknown)| {
        let fields = fields.into_iter().chain([("never_heard_of".to_owned(), unknown)]);
        fields.filter_map(|(name, value)| Some((name, value?))).collect()
    })
}

/// The fields of users and of a table that has every type and secrets inside.
fn fields(resource: &Resource) -> Vec<(String, ColumnType)> {
    let named =
        |(name, column): (&String, &crate::catalog::Column)| (resource.field(name).to_owned(), column.kind);
    resource.columns.iter().filter(|(name, _)| !resource.key.contains(name)).map(named).collect()
}

proptest! {
    #[test]
    fn a_line_means_the_same_by_both_ways(
        (table, object) in prop::sample::select(vec!["user", "tenant", "client", "connection"]).prop_flat_map(|table| {
            any_object(fields(CATALOG.resource(table).unwrap())).prop_map(move |object| (table, object))
        }),
        key in "[a-z]{1,8}\\|[!-~]{1,12}",
    ) {
        let resource = CATALOG.resource(table).unwrap();
        let mut object = object;
        for column in &resource.key {
            object.insert(resource.field(column).to_owned(), json!(key));
        }
        let (fast, slow) = both(resource, &Value::Object(object).to_string());
        if let Some(fast) = fast {
            prop_assert_eq!(fast, slow);
        }
    }
}

#[test]
fn an_ordinary_user_takes_the_fast_way() {
    let line = r#"{"user_id":"auth0|1","email":"a\"b@example.com","email_verified":true,"logins_count":7,
        "created_at":"2024-01-02T03:04:05.678Z","updated_at":"2024-01-02T03:04:05.678Z","blocked":null,
        "identities":[{"connection":"db","user_id":"1"}],"user_metadata":{"a":{"b":[1,2.50]}},"multifactor":["guardian"]}"#;
    let (fast, slow) = both(CATALOG.resource("user").unwrap(), line);
    assert_eq!(fast.unwrap(), slow);
}

#[test]
fn what_is_not_ordinary_takes_the_slow_way_and_loses_nothing() {
    let user = CATALOG.resource("user").unwrap();
    for (line, extra) in [
        (r#"{"user_id":"auth0|1","favourite":"tea"}"#, json!({"favourite": "tea"})),
        (r#"{"user_id":"auth0|1","blocked":"perhaps"}"#, json!({"blocked": "perhaps"})),
        (r#"{"user_id":"auth0|1","created_at":"yesterday"}"#, json!({"created_at": "yesterday"})),
    ] {
        let (fast, slow) = both(user, line);
        assert_eq!(fast, None, "{line}");
        assert_eq!(slow.last().unwrap(), &("extra".to_owned(), Some(extra)));
    }
    let nul = r#"{"user_id":"auth0|1","user_metadata":{"a":"\u0000b"}}"#;
    assert!(both(user, nul).0.is_none());
}

#[test]
fn what_cannot_be_read_is_said_without_its_words() {
    let user = CATALOG.resource("user").unwrap();
    let layout = Layout::of(user);
    for line in [r#"{"user_id":"secret"#, r#"["secret"]"#, r#"{"email":"secret"}"#] {
        let error = layout.line(user, line, &mut BytesMut::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::Auth0Answer);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
