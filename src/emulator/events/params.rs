//! What a subscriber asks for: where to begin, and which types. Pure.

use chrono::DateTime;

use super::log::{self, Log};
use crate::emulator::problem::Problem;

/// The longest offset and the longest time that may be sent.
const LONGEST_OFFSET: usize = 1024;
const LONGEST_TIME: usize = 20;

/// A subscription that can be served.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Number of the event behind which it begins.
    pub(super) after: u64,
    /// The types; empty means all.
    pub(super) types: Vec<String>,
}

/// Reads the query and the header `Last-Event-ID`, which wins over `from`.
///
/// # Errors
/// Auth0's refusal: 400, or 410 where the events behind the offset are gone.
pub(super) fn read(
    query: &[(String, String)],
    last: Option<&str>,
    known: impl Fn(&str) -> bool,
    log: &Log,
) -> Result<Asked, Problem> {
    let param = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if let Some((strange, _)) =
        query.iter().find(|(name, _)| !["from", "from_timestamp", "event_type"].contains(&name.as_str()))
    {
        let what = format!("Query validation error: 'Additional properties not allowed: {strange}'.");
        return Err(invalid(what));
    }
    let types: Vec<String> =
        query.iter().filter(|(name, _)| name == "event_type").map(|(_, value)| value.clone()).collect();
    if !types.iter().all(|name| known(name)) {
        return Err(invalid("Unsupported event type."));
    }
    let (from, time) = (param("from"), param("from_timestamp"));
    if from.is_some() && time.is_some() {
        return Err(invalid("Only one of from and from_timestamp may be given."));
    }
    let after = match (last.or(from), time) {
        (Some(offset), _) => {
            let number = log::number(offset).filter(|_| offset.len() <= LONGEST_OFFSET);
            let number = number.ok_or_else(|| invalid("Invalid cursor format."))?;
            if number < log.gone() || number > log.last() {
                return Err(Problem::plain(410, "Cursor points to data no longer available in the stream."));
            }
            number
        }
        (None, Some(time)) => {
            let parsed = DateTime::parse_from_rfc3339(time).ok().filter(|_| time.len() <= LONGEST_TIME);
            let wrong = "Query validation error: 'Object didn't pass validation for format date-time' on property from_timestamp.";
            log.before(parsed.ok_or_else(|| invalid(wrong))?.timestamp_millis())
        }
        (None, None) => log.last(),
    };
    Ok(Asked { after, types })
}

fn invalid(what: impl Into<String>) -> Problem {
    Problem::new(400, what, "invalid_query_string")
}

#[cfg(test)]
mod tests {
    use super::super::log::Kept;
    use super::*;
    use crate::emulator::problem::Answer;

    fn log() -> Log {
        let mut log = Log::default();
        for number in 1..=9 {
            let kept = Kept { number, kind: "k".into(), at: number as i64 * 1000, text: String::new() };
            log.push(std::sync::Arc::new(kept));
        }
        log.forget(3000);
        log
    }

    fn asked(query: &[(&str, &str)], last: Option<&str>) -> Result<u64, u16> {
        let query: Vec<_> = query.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let read = read(&query, last, |name| name == "k", &log());
        read.map(|asked| asked.after).map_err(|problem| Answer::from(problem).status)
    }

    #[test]
    fn the_start_is_the_header_then_the_offset_then_the_time_then_now() {
        let (five, six) = (log::offset(5), log::offset(6));
        assert_eq!(asked(&[], None), Ok(9));
        assert_eq!(asked(&[("from", &five)], None), Ok(5));
        assert_eq!(asked(&[("from", &five)], Some(&six)), Ok(6));
        assert_eq!(asked(&[("from_timestamp", "1970-01-01T00:00:05Z")], None), Ok(4));
        assert_eq!(asked(&[("from_timestamp", "1970-01-01T00:00:00Z")], None), Ok(2), "the oldest");
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        assert_eq!(asked(&[("from", &log::offset(1))], None), Err(410));
        assert_eq!(asked(&[("from", &log::offset(10))], None), Err(410));
        assert_eq!(asked(&[("from", "x")], None), Err(400));
        assert_eq!(
            asked(&[("from", &log::offset(5)), ("from_timestamp", "1970-01-01T00:00:05Z")], None),
            Err(400)
        );
        assert_eq!(asked(&[("from_timestamp", "1970-01-01T00:00:05.000Z")], None), Err(400), "too long");
        assert_eq!(asked(&[("from_timestamp", "yesterday")], None), Err(400));
        assert_eq!(asked(&[("event_type", "strange")], None), Err(400));
        assert_eq!(asked(&[("page", "1")], None), Err(400));
    }
}
