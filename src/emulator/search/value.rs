//! Comparing one value with what a query asks for: terms, wildcards, ranges. A value is a JSON
//! scalar; a text that is a whole time is compared as a time where the query names one, too.

use chrono::{DateTime, Datelike, Days, FixedOffset, Months, NaiveDate, TimeDelta};
use serde_json::Value;

use crate::emulator::index::micros;

/// What a value is compared with.
#[derive(Clone, Debug)]
pub(in crate::emulator) enum Test {
    /// Any value will do.
    Exists,
    /// The whole value.
    Equal(Term),
    /// A text with wildcards, and the same in lower case.
    Like(Vec<Glyph>, Vec<Glyph>),
    /// Between two bounds; none is open.
    Range {
        /// The lower bound.
        low: Option<Bound>,
        /// The upper bound.
        high: Option<Bound>,
    },
}

/// A text and what else it may mean.
#[derive(Clone, Debug)]
pub(in crate::emulator) struct Term {
    pub(in crate::emulator) text: String,
    lower: String,
    number: Option<f64>,
    /// First and last microsecond of the time that it names.
    pub(in crate::emulator) span: Option<(i64, i64)>,
}

/// One end of a range.
#[derive(Clone, Debug)]
pub(in crate::emulator) struct Bound {
    pub(in crate::emulator) term: Term,
    /// Whether what equals it is inside.
    pub(in crate::emulator) closed: bool,
}

/// A character of a text with wildcards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::emulator) enum Glyph {
    /// This one.
    Is(char),
    /// Any one.
    One,
    /// Any number of any.
    Many,
}

impl Term {
    pub(super) fn new(text: String) -> Term {
        Term { lower: text.to_lowercase(), number: text.parse().ok(), span: span(&text), text }
    }
}

impl Test {
    /// A term whose characters may be wildcards.
    pub(super) fn of(glyphs: Vec<Glyph>) -> Test {
        let plain: Option<String> = glyphs
            .iter()
            .map(|glyph| match glyph {
                Glyph::Is(c) => Some(*c),
                _ => None,
            })
            .collect();
        if let Some(text) = plain {
            return Test::Equal(Term::new(text));
        }
        if glyphs.iter().all(|glyph| *glyph == Glyph::Many) {
            return Test::Exists;
        }
        let lower = glyphs.iter().flat_map(|glyph| match glyph {
            Glyph::Is(c) => c.to_lowercase().map(Glyph::Is).collect(),
            other => vec![*other],
        });
        let lower = lower.collect();
        Test::Like(glyphs, lower)
    }

    /// Whether a value, which is no array or object, answers it; `fold`: without regard to case.
    pub(super) fn holds(&self, value: &Value, fold: bool) -> bool {
        match (self, value) {
            (_, Value::Null | Value::Array(_) | Value::Object(_)) => false,
            (Test::Exists, _) => true,
            (Test::Equal(term), Value::String(text)) => {
                let same = if fold { text.to_lowercase() == term.lower } else { *text == term.text };
                same || term.span.is_some_and(|(first, last)| {
                    micros(text).is_some_and(|time| (first..=last).contains(&time))
                })
            }
            (Test::Equal(term), Value::Number(number)) => term.number == number.as_f64(),
            (Test::Equal(term), Value::Bool(value)) => term.text == value.to_string(),
            (Test::Like(_, lower), Value::String(text)) if fold => like(lower, &text.to_lowercase()),
            (Test::Like(glyphs, _), Value::String(text)) => like(glyphs, text),
            (Test::Like(glyphs, _), value) => like(glyphs, &value.to_string()),
            (Test::Range { low, high }, value) => {
                low.as_ref().is_none_or(|bound| bound.holds(value, fold, true))
                    && high.as_ref().is_none_or(|bound| bound.holds(value, fold, false))
            }
        }
    }
}

impl Bound {
    /// Whether a value is on the right side of it: above where it is the lower one.
    fn holds(&self, value: &Value, fold: bool, lower: bool) -> bool {
        let term = &self.term;
        let order = match value {
            Value::Number(number) => {
                number.as_f64().zip(term.number).map(|(value, bound)| value.total_cmp(&bound))
            }
            Value::String(text) => match term.span.and_then(|span| Some((span, micros(text)?))) {
                // A bound covers the whole of the time that it names.
                Some(((first, _), time)) if time < first => Some(std::cmp::Ordering::Less),
                Some(((_, last), time)) if time > last => Some(std::cmp::Ordering::Greater),
                Some(_) => Some(std::cmp::Ordering::Equal),
                None if fold => Some(text.to_lowercase().cmp(&term.lower)),
                None => Some(text.cmp(&term.text)),
            },
            _ => None,
        };
        order.is_some_and(|order| match lower {
            _ if order.is_eq() => self.closed,
            true => order.is_gt(),
            false => order.is_lt(),
        })
    }
}

/// Whether a text has this shape. It goes back to the last `Many` alone, so it is never slow.
fn like(glyphs: &[Glyph], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut place, mut retry) = (0, 0, None);
    while place < text.len() {
        match glyphs.get(at) {
            Some(Glyph::Many) => {
                retry = Some((at, place));
                at += 1;
            }
            Some(glyph) if *glyph == Glyph::One || *glyph == Glyph::Is(text[place]) => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((many, from)) = retry else { return false };
                retry = Some((many, from + 1));
                (at, place) = (many + 1, from + 1);
            }
        }
    }
    glyphs[at..].iter().all(|glyph| *glyph == Glyph::Many)
}

/// First and last microsecond of a time that may be given in part: from a year to a fraction of a second.
fn span(text: &str) -> Option<(i64, i64)> {
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = date.split('-');
    let year = whole(parts.next()?, 4)?;
    let month = parts.next().map(|part| whole(part, 2));
    let day = parts.next().map(|part| whole(part, 2));
    if parts.next().is_some() || month == Some(None) || day == Some(None) || time.is_some() && day.is_none() {
        return None;
    }
    let (month, day) = (month.flatten(), day.flatten());
    let first = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month.unwrap_or(1), day.unwrap_or(1))?;
    let Some(time) = time else {
        let next = match (month, day) {
            (_, Some(_)) => first.checked_add_days(Days::new(1)),
            (Some(_), None) => first.checked_add_months(Months::new(1)),
            (None, None) => first.with_year(first.year() + 1),
        };
        let start = |day: NaiveDate| Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
        return Some((start(first)?, start(next?)? - 1));
    };
    let zone = time.find(['Z', '+', '-']);
    let (clock, zone) = zone.map_or((time, "Z"), |place| time.split_at(place));
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(clock, rest)| (clock, Some(rest)));
    let mut parts = clock.split(':').map(|part| whole(part, 2));
    let hour = parts.next()??;
    let (minute, second) = (parts.next(), parts.next());
    if parts.next().is_some() || minute == Some(None) || second == Some(None) {
        return None;
    }
    let (minute, second) = (minute.flatten(), second.flatten());
    let (mut micros, unit) = match (minute, second, fraction) {
        (None, _, None) => (0, 3_600_000_000),
        (Some(_), None, None) => (0, 60_000_000),
        (_, Some(_), None) => (0, 1_000_000),
        (_, Some(_), Some(digits)) => {
            let kept = digits.get(..digits.len().min(6)).filter(|kept| !kept.is_empty())?;
            let unit = 10_i64.pow(6 - u32::try_from(kept.len()).ok()?);
            digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(())?;
            (kept.parse::<i64>().ok()? * unit, unit)
        }
        _ => return None,
    };
    let zone: FixedOffset = if zone == "Z" { FixedOffset::east_opt(0)? } else { zone.parse().ok()? };
    let time = first.and_hms_opt(hour, minute.unwrap_or(0), second.unwrap_or(0))?;
    let time: DateTime<FixedOffset> = time.and_local_timezone(zone).single()?;
    micros += time.timestamp_micros();
    let last = TimeDelta::microseconds(micros + unit - 1).num_microseconds()?;
    Some((micros, last))
}

/// A number of exactly so many digits.
fn whole(text: &str, digits: usize) -> Option<u32> {
    (text.len() == digits && text.bytes().all(|digit| digit.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_given_in_part_covers_all_of_it() {
        let micros = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
        for (text, first, last) in [
            ("2024", "2024-01-01T00:00:00Z", "2024-12-31T23:59:59.999999Z"),
            ("2024-02", "2024-02-01T00:00:00Z", "2024-02-29T23:59:59.999999Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z", "2024-02-29T23:59:59.999999Z"),
            ("2024-03-01T10", "2024-03-01T10:00:00Z", "2024-03-01T10:59:59.999999Z"),
            ("2024-03-01T10:05Z", "2024-03-01T10:05:00Z", "2024-03-01T10:05:59.999999Z"),
            ("2024-03-01T10:05:07", "2024-03-01T10:05:07Z", "2024-03-01T10:05:07.999999Z"),
            ("2024-03-01T10:05:07.25Z", "2024-03-01T10:05:07.25Z", "2024-03-01T10:05:07.259999Z"),
            ("2024-03-01T10:05:07.123+02:00", "2024-03-01T08:05:07.123Z", "2024-03-01T08:05:07.123999Z"),
        ] {
            assert_eq!(span(text), Some((micros(first), micros(last))), "{text}");
        }
        for text in [
            "",
            "24",
            "2024-13",
            "2024-02-30",
            "2024-1-1",
            "2024T10",
            "2024-03-01T25",
            "now",
            "2024-03-01T10:05:07.x",
        ] {
            assert_eq!(span(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn wildcards_are_those_of_a_regular_expression(pattern in "[ab*?]{0,8}", text in "[abc]{0,8}") {
            let glyphs: Vec<Glyph> = pattern.chars().map(|c| match c {
                '*' => Glyph::Many,
                '?' => Glyph::One,
                c => Glyph::Is(c),
            }).collect();
            let model = regex::Regex::new(&format!("^{}$", pattern.replace('*', ".*").replace('?', "."))).unwrap();
            prop_assert_eq!(like(&glyphs, &text), model.is_match(&text));
        }
    }
}
