//! From messages of pgoutput to whole transactions. No I/O; memory is bounded by [`MAX_IDS`].

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use pg_walstream::protocol::{LogicalReplicationMessage as Message, LogicalReplicationParser, TupleData};

use super::event::{Bulk, CdcInsert, Event, Inserts, MAX_BYTES, MAX_IDS, MAX_ROWS, Tuple};
use super::lsn::Lsn;
use crate::error::{Error, Kind, Result};

/// Logical messages with this prefix are heartbeats; any client may write them, so they say no more.
const PREFIX: &str = "auth0_sync";
/// Those with this prefix are questions of strict statements.
const QUESTION: &str = "auth0_sync.strict";
/// One with this prefix says that its transaction has values beside its rows; where it has a content, these are all
/// of them until now, sealed.
const ASIDE: &str = "auth0_sync.aside";
/// In a message's flags: it belongs to a transaction.
const TRANSACTIONAL: u8 = 1;

/// The transaction under way and the relations that this connection has described.
pub(super) struct Assembler {
    parser: LogicalReplicationParser,
    relations: HashMap<u32, Relation>,
    open: Option<Open>,
}

struct Relation {
    schema: Arc<str>,
    name: Arc<str>,
    /// Where the column `id` stands.
    id: Option<usize>,
    columns: Arc<[Arc<str>]>,
}

struct Open {
    xid: u32,
    inserts: Inserts,
    /// Bytes of the rows that are held; none where no rows are.
    held: Option<usize>,
    aside: Aside,
}

/// Values beside the rows of a transaction.
enum Aside {
    Nothing,
    /// They are not in the stream.
    Missing,
    Sealed(Bytes),
}

impl Assembler {
    /// For a new connection, which begins at a transaction's start and describes relations anew.
    pub(super) fn new() -> Self {
        Assembler {
            parser: LogicalReplicationParser::with_protocol_version(1),
            relations: HashMap::new(),
            open: None,
        }
    }

    /// Whether no transaction is half told: only then may a keepalive's position be acknowledged.
    pub(super) fn is_between(&self) -> bool {
        self.open.is_none()
    }

    /// Takes one message; an event where it completes one.
    pub(super) fn take(&mut self, message: Bytes) -> Result<Option<Event>> {
        let message = self.parser.parse_wal_message_bytes(message);
        let message = message
            .map_err(|error| Error::with(Kind::Replication, "a message of pgoutput cannot be read", error))?;
        match message.message {
            Message::Begin { xid, .. } => {
                if self.open.is_some() {
                    return Err(broken("a transaction begins inside another"));
                }
                self.open = Some(Open {
                    xid,
                    inserts: Inserts::Each(Vec::new()),
                    held: Some(0),
                    aside: Aside::Nothing,
                });
                Ok(None)
            }
            Message::Relation { relation_id, namespace, relation_name, columns, .. } => {
                let id = columns.iter().position(|column| &*column.name == "id");
                let columns = columns.into_iter().map(|column| column.name).collect();
                self.relations
                    .insert(relation_id, Relation { schema: namespace, name: relation_name, id, columns });
                Ok(None)
            }
            Message::Insert { relation_id, tuple } => {
                let insert = self.insert(relation_id, &tuple)?;
                let open = self.open.as_mut().ok_or_else(|| broken("an insert outside a transaction"))?;
                open.add(insert);
                Ok(None)
            }
            Message::Message { flags, prefix, content, .. }
                if prefix == ASIDE && flags & TRANSACTIONAL != 0 =>
            {
                if let Some(open) = &mut self.open {
                    open.aside = match content.len() {
                        0 => Aside::Missing,
                        1..=MAX_BYTES => Aside::Sealed(content),
                        _ => Aside::Missing,
                    };
                }
                Ok(None)
            }
            Message::Commit { end_lsn, .. } => {
                let mut open = self.open.take().ok_or_else(|| broken("a commit without a beginning"))?;
                let lsn = Lsn(end_lsn);
                let sealed = match std::mem::replace(&mut open.aside, Aside::Nothing) {
                    Aside::Nothing => None,
                    Aside::Sealed(content) => Some(content),
                    Aside::Missing => {
                        open.hold_no_rows();
                        None
                    }
                };
                Ok(Some(match &open.inserts {
                    Inserts::Each(inserts) if inserts.is_empty() => Event::Heartbeat { lsn },
                    _ => Event::Commit { xid: open.xid, lsn, inserts: open.inserts, sealed },
                }))
            }
            Message::Message { lsn, prefix, .. } if prefix == PREFIX && self.is_between() => {
                Ok(Some(Event::Heartbeat { lsn: Lsn(lsn) }))
            }
            // Postgres sends transactions whole: what belongs to none stands between them.
            Message::Message { flags, lsn, prefix, content }
                if prefix == QUESTION && flags & TRANSACTIONAL == 0 && self.is_between() =>
            {
                Ok(Some(Event::Question { lsn: Lsn(lsn), content }))
            }
            // Protocol version 1 has no streamed or prepared transactions.
            Message::StreamStart { .. } | Message::BeginPrepare { .. } | Message::StreamPrepare { .. } => {
                Err(broken("a message that protocol version 1 does not have"))
            }
            // The publication has inserts only; types, origins and other people's messages are not ours.
            _ => Ok(None),
        }
    }

    /// A row of an unknown relation is an error: skipped, it would be acknowledged and lost.
    fn insert(&self, relation: u32, tuple: &TupleData) -> Result<CdcInsert> {
        let holds = self.open.as_ref().is_some_and(|open| open.held.is_some());
        let relation = self
            .relations
            .get(&relation)
            .ok_or_else(|| broken("an insert into a relation that was not described"))?;
        let value =
            relation.id.and_then(|column| tuple.get_column(column)).and_then(|column| column.as_string());
        let id = value.and_then(|text| text.parse().ok()).ok_or_else(|| {
            let what =
                format!("{}.{} is published but its rows have no numeric id", relation.schema, relation.name);
            Error::new(Kind::Replication, what)
        })?;
        // A value that is neither there nor NULL would be a gap in the row.
        let whole = holds && tuple.columns.iter().all(|column| column.is_text() || column.is_null());
        let row = whole.then(|| {
            let values = tuple.columns.iter().map(|column| column.is_text().then(|| column.raw_bytes()));
            Tuple::new(Arc::clone(&relation.columns), values.collect())
        });
        Ok(CdcInsert { schema: Arc::clone(&relation.schema), id, row })
    }
}

impl Open {
    fn add(&mut self, mut insert: CdcInsert) {
        let held = self.held.zip(insert.row.as_ref()).map(|(held, row)| held + row.size());
        let few = |inserts: &Inserts| matches!(inserts, Inserts::Each(each) if each.len() < MAX_ROWS);
        match held.filter(|held| *held <= MAX_BYTES && few(&self.inserts)) {
            Some(held) => self.held = Some(held),
            None => {
                insert.row = None;
                self.hold_no_rows();
            }
        }
        self.inserts.add(insert);
    }

    fn hold_no_rows(&mut self) {
        if self.held.take().is_some()
            && let Inserts::Each(inserts) = &mut self.inserts
        {
            inserts.iter_mut().for_each(|insert| insert.row = None);
        }
    }
}

impl Inserts {
    fn add(&mut self, insert: CdcInsert) {
        if let Inserts::Each(inserts) = self {
            if inserts.len() < MAX_IDS {
                inserts.push(insert);
                return;
            }
            let held = std::mem::take(inserts);
            *self = Inserts::Bulk(Vec::new());
            held.into_iter().for_each(|insert| self.count(insert));
        }
        self.count(insert);
    }

    fn count(&mut self, CdcInsert { schema, id, .. }: CdcInsert) {
        let Inserts::Bulk(all) = self else { return };
        match all.iter_mut().find(|bulk| bulk.schema == schema) {
            Some(bulk) => {
                bulk.first_id = bulk.first_id.min(id);
                bulk.last_id = bulk.last_id.max(id);
                bulk.count += 1;
            }
            None => all.push(Bulk { schema, first_id: id, last_id: id, count: 1 }),
        }
    }
}

fn broken(what: &str) -> Error {
    Error::new(Kind::Replication, format!("the replication stream carries {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cstring(text: &str) -> Vec<u8> {
        [text.as_bytes(), &[0]].concat()
    }

    fn begin(xid: u32) -> Bytes {
        [&b"B"[..], &1_u64.to_be_bytes(), &0_u64.to_be_bytes(), &xid.to_be_bytes()].concat().into()
    }

    fn commit(end: u64) -> Bytes {
        [&b"C\0"[..], &1_u64.to_be_bytes(), &end.to_be_bytes(), &0_u64.to_be_bytes()].concat().into()
    }

    fn relation(oid: u32, schema: &str) -> Bytes {
        let mut bytes =
            [&b"R"[..], &oid.to_be_bytes(), &cstring(schema), &cstring("_sync_cdc"), b"d\0\x02"].concat();
        for name in ["txid", "id"] {
            bytes.extend([&[0][..], &cstring(name), &20_u32.to_be_bytes(), &(-1_i32).to_be_bytes()].concat());
        }
        bytes.into()
    }

    fn insert(oid: u32, id: i64) -> Bytes {
        let id = id.to_string();
        let length = u32::try_from(id.len()).unwrap().to_be_bytes();
        [&b"I"[..], &oid.to_be_bytes(), b"N\0\x02", b"n", b"t", &length, id.as_bytes()].concat().into()
    }

    /// What is told, without rows.
    fn take(assembler: &mut Assembler, messages: impl IntoIterator<Item = Bytes>) -> Vec<Event> {
        let mut told = whole(assembler, messages);
        for event in &mut told {
            if let Event::Commit { inserts: Inserts::Each(inserts), .. } = event {
                inserts.iter_mut().for_each(|insert| insert.row = None);
            }
        }
        told
    }

    fn whole(assembler: &mut Assembler, messages: impl IntoIterator<Item = Bytes>) -> Vec<Event> {
        messages.into_iter().filter_map(|message| assembler.take(message).unwrap()).collect()
    }

    fn each(schema: &str, ids: impl IntoIterator<Item = i64>) -> Inserts {
        Inserts::Each(ids.into_iter().map(|id| CdcInsert { schema: schema.into(), id, row: None }).collect())
    }

    /// How many rows come along with a transaction of these messages.
    fn rows(assembler: &mut Assembler, messages: impl IntoIterator<Item = Bytes>) -> usize {
        let mut told = whole(assembler, [begin(1)].into_iter().chain(messages).chain([commit(10)]));
        let Some(Event::Commit { inserts: Inserts::Each(inserts), .. }) = told.pop() else { panic!() };
        inserts.iter().filter(|insert| insert.row.is_some()).count()
    }

    #[test]
    fn a_transaction_is_told_when_it_commits() {
        let mut assembler = Assembler::new();
        let first = [begin(7), relation(1, "auth0"), insert(1, 3), insert(1, 4)];
        assert_eq!(take(&mut assembler, first), []);
        assert!(!assembler.is_between());
        let told = Event::Commit { xid: 7, lsn: Lsn(90), inserts: each("auth0", [3, 4]), sealed: None };
        assert_eq!(take(&mut assembler, [commit(90)]), [told]);
        // The relation is remembered; an empty transaction is a position and no more.
        let told = Event::Commit { xid: 8, lsn: Lsn(95), inserts: each("auth0", [5]), sealed: None };
        assert_eq!(take(&mut assembler, [begin(8), insert(1, 5), commit(95)]), [told]);
        assert_eq!(take(&mut assembler, [begin(9), commit(99)]), [Event::Heartbeat { lsn: Lsn(99) }]);
        assert!(assembler.is_between());
    }

    #[test]
    fn an_unknown_relation_is_an_error_and_so_is_disorder() {
        let mut assembler = Assembler::new();
        assert!(assembler.take(insert(1, 3)).is_err());
        assembler.take(begin(1)).unwrap();
        assert_eq!(assembler.take(insert(1, 3)).unwrap_err().kind(), Kind::Replication);
        assert!(assembler.take(begin(2)).is_err());
        assert!(Assembler::new().take(commit(1)).is_err());
        assert!(Assembler::new().take(Bytes::from_static(b"?")).is_err());
    }

    #[test]
    fn a_transaction_at_the_limit_is_held_and_one_above_it_is_counted_by_schema() {
        let limit = i64::try_from(MAX_IDS).unwrap();
        let mut assembler = Assembler::new();
        take(&mut assembler, [relation(1, "one"), relation(2, "two"), begin(1)]);
        take(&mut assembler, (1..=limit).map(|id| insert(1, id)));
        let told = take(&mut assembler, [commit(10)]);
        assert_eq!(
            told,
            [Event::Commit { xid: 1, lsn: Lsn(10), inserts: each("one", 1..=limit), sealed: None }]
        );

        take(&mut assembler, [begin(2), insert(2, 50)]);
        take(&mut assembler, (1..=limit).map(|id| insert(1, id)));
        let told = take(&mut assembler, [insert(2, 40), commit(20)]);
        let bulk =
            |schema: &str, first_id, last_id, count| Bulk { schema: schema.into(), first_id, last_id, count };
        let inserts = Inserts::Bulk(vec![bulk("two", 40, 50, 2), bulk("one", 1, limit, limit as u64)]);
        assert_eq!(told, [Event::Commit { xid: 2, lsn: Lsn(20), inserts, sealed: None }]);
    }

    #[test]
    fn rows_come_along_while_they_are_few_and_say_all() {
        let mut assembler = Assembler::new();
        let mut told = whole(&mut assembler, [relation(1, "auth0"), begin(1), insert(1, 7), commit(10)]);
        let Some(Event::Commit { inserts: Inserts::Each(mut inserts), .. }) = told.pop() else { panic!() };
        let row = inserts.pop().unwrap().row.unwrap();
        assert_eq!((row.text("id"), row.text("txid"), row.text("other")), (Some("7"), None, None));

        let few = MAX_ROWS as i64;
        assert_eq!(rows(&mut assembler, (1..=few).map(|id| insert(1, id))), MAX_ROWS);
        assert_eq!(rows(&mut assembler, (1..=few + 1).map(|id| insert(1, id))), 0);
        let aside = |flags: u8, text: &str| -> Bytes {
            let (prefix, length) = (cstring("auth0_sync.aside"), text.len() as u32);
            [&[b'M', flags][..], &77_u64.to_be_bytes(), &prefix, &length.to_be_bytes(), text.as_bytes()]
                .concat()
                .into()
        };
        assert_eq!(rows(&mut assembler, [insert(1, 1), aside(1, ""), insert(1, 2)]), 0);
        assert_eq!(rows(&mut assembler, [insert(1, 1), aside(0, ""), insert(1, 2)]), 2, "it is of nobody");
        assert_eq!(rows(&mut assembler, [aside(1, "all"), insert(1, 1), aside(1, "")]), 0);
        let messages = [begin(1), aside(1, ""), insert(1, 1), aside(1, "all"), commit(10)];
        let Some(Event::Commit { sealed, .. }) = whole(&mut assembler, messages).pop() else { panic!() };
        assert_eq!(sealed.as_deref(), Some(&b"all"[..]));
        let long = |id: i64| -> Bytes {
            let (id, note) = (id.to_string(), vec![b'x'; MAX_BYTES / 2]);
            let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_be_bytes();
            [
                &b"I"[..],
                &1_u32.to_be_bytes(),
                b"N\0\x02t",
                &length(&note),
                &note,
                b"t",
                &length(id.as_bytes()),
                id.as_bytes(),
            ]
            .concat()
            .into()
        };
        assert_eq!(rows(&mut assembler, [long(1)]), 1);
        assert_eq!(rows(&mut assembler, [long(1), long(2), insert(1, 3)]), 0);
    }

    #[test]
    fn a_message_of_ours_is_a_heartbeat_and_others_are_nothing() {
        let message = |prefix: &str| -> Bytes {
            [&b"M\0"[..], &77_u64.to_be_bytes(), &cstring(prefix), &0_u32.to_be_bytes()].concat().into()
        };
        let mut assembler = Assembler::new();
        assert_eq!(take(&mut assembler, [message("auth0_sync")]), [Event::Heartbeat { lsn: Lsn(77) }]);
        assert_eq!(take(&mut assembler, [message("app"), begin(1), message("auth0_sync")]), []);
    }

    #[test]
    fn a_question_is_told_at_once_unless_it_belongs_to_a_transaction() {
        let question = |flags: u8| -> Bytes {
            let prefix = cstring("auth0_sync.strict");
            [&[b'M', flags][..], &77_u64.to_be_bytes(), &prefix, &3_u32.to_be_bytes(), b"why"].concat().into()
        };
        let mut assembler = Assembler::new();
        let told = Event::Question { lsn: Lsn(77), content: Bytes::from_static(b"why") };
        assert_eq!(take(&mut assembler, [question(0)]), [told]);
        assert_eq!(take(&mut assembler, [question(1)]), [], "it is told when it is rolled back too");
    }
}
