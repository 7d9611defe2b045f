//! How far the events have been taken: an offset, and Auth0's time there.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use crate::auth0::Start;
use crate::error::Result;
use crate::ingest::Context;
use crate::pg::fault;

/// A position in the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The offset; none before the first message.
    pub(super) offset: Option<String>,
    /// Auth0's time of the last event, or of the first connection.
    pub(super) time: Option<DateTime<Utc>>,
}

impl Cursor {
    /// Where a stream goes on.
    pub(super) fn start(&self) -> Start {
        match (&self.offset, self.time) {
            (Some(offset), _) => Start::Offset(offset.clone()),
            (None, Some(time)) => Start::Time(time),
            (None, None) => Start::Now,
        }
    }

    /// As the queue keeps it: time and offset.
    pub(super) fn to_position(&self) -> String {
        let time = self.time.map(|time| time.to_rfc3339()).unwrap_or_default();
        format!("{time} {}", self.offset.as_deref().unwrap_or_default())
    }

    /// The reverse of [`Cursor::to_position`].
    pub(super) fn of_position(position: &str) -> Cursor {
        let (time, offset) = position.split_once(' ').unwrap_or_default();
        let time = DateTime::parse_from_rfc3339(time).ok().map(|time| time.to_utc());
        Cursor { offset: Some(offset.to_owned()).filter(|offset| !offset.is_empty()), time }
    }

    /// The stored one.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn stored(context: &Context) -> Result<Option<Cursor>> {
        let row: Option<(String, Option<DateTime<Utc>>)> = sqlx::query_as(include_str!("sql/cursor.sql"))
            .bind(&context.schema)
            .fetch_optional(&context.database.pool)
            .await
            .map_err(fault("cannot read the offset of the events"))?;
        Ok(row
            .map(|(offset, time)| Cursor { offset: Some(offset).filter(|offset| !offset.is_empty()), time }))
    }

    /// Stores it, in the transaction of what it stands behind where there is one.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn store(&self, executor: impl PgExecutor<'_>, schema: &str) -> Result<()> {
        sqlx::query(include_str!("sql/store_cursor.sql"))
            .bind(schema)
            .bind(self.offset.as_deref().unwrap_or_default())
            .bind(self.time)
            .execute(executor)
            .await
            .map_err(fault("cannot store the offset of the events"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_whole() {
        let time = Some("2026-01-02T03:04:05.678Z".parse().unwrap());
        for cursor in [
            Cursor { offset: Some("abc".into()), time },
            Cursor { offset: Some("abc".into()), time: None },
            Cursor { offset: None, time },
            Cursor::default(),
        ] {
            assert_eq!(Cursor::of_position(&cursor.to_position()), cursor);
        }
    }
}
