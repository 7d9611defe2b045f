//! Times as Auth0 writes them, as microseconds: read a million times, so without a general parser.

/// 2000-01-01, from which Postgres counts, in microseconds since 1970.
pub(super) const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// The microseconds since 2000 of `YYYY-MM-DDTHH:MM:SS[.fraction]Z`; none for other forms, which
/// are left to a general parser.
pub(super) fn instant(text: &str) -> Option<i64> {
    let bytes = text.strip_suffix('Z')?.as_bytes();
    let (head, fraction) = match bytes.split_at_checked(19)? {
        (head, []) => (head, &[][..]),
        (head, [b'.', fraction @ ..]) if (1..=9).contains(&fraction.len()) => (head, fraction),
        _ => return None,
    };
    let number = |from: usize, to: usize| digits(&head[from..to]);
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| head[*at] != *mark) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year < 1
        || !(1..=12).contains(&month)
        || !(1..=days_in(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    // Digits beyond the sixth are cut off.
    let shown = &fraction[..fraction.len().min(6)];
    let micros = digits(fraction).and(digits(shown)).or(fraction.is_empty().then_some(0))?;
    let micros = micros * 10_i64.pow(6 - shown.len() as u32);
    let seconds = ((days_before(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * 1_000_000 + micros - POSTGRES_EPOCH)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    let digit = |value: i64, byte: &u8| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'));
    (!bytes.is_empty()).then(|| bytes.iter().try_fold(0, digit))?
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01, in years that begin in March so that the leap day is the last.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_reads_what_a_general_parser_reads(text in "[0-2][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,10})?Z") {
            let general = DateTime::parse_from_rfc3339(&text).ok();
            if let Some(micros) = instant(&text) {
                prop_assert_eq!(Some(micros + POSTGRES_EPOCH), general.map(|time| time.timestamp_micros()));
            } else {
                // Year 0, a leap second, more digits: rare, and read in another way.
                let rare = text.starts_with("0000") || &text[17..19] == "60" || text.len() > 30;
                prop_assert!(general.is_none() || rare, "{}", text);
            }
        }
    }

    #[test]
    fn other_forms_are_left_to_others() {
        for text in [
            "",
            "Z",
            "2024-01-02",
            "2024-01-02T03:04:05+00:00",
            "2024-01-02T03:04:05.Z",
            "2024-01-02 03:04:05Z",
            "２024-01-02T03:04:05Z",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
        assert_eq!(instant("2000-01-01T00:00:00.000001Z"), Some(1));
    }
}
