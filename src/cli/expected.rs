//! What filling tables takes, as people read it.

use std::fmt::Write as _;

use crate::ingest::{Estimate, Rates};

/// A line a table, those with the most calls first, and all of them together.
pub(super) fn listing(estimate: &Estimate, rates: Option<&Rates>) -> String {
    let at_least = |number: u64, lower: bool| format!("{}{number}", if lower { ">= " } else { "" });
    let unknown = || "?".to_owned();
    let minutes = |minutes: Option<f64>| minutes.map_or_else(unknown, |minutes| format!("{minutes:.1}"));
    let mut tables: Vec<_> = estimate.tables.iter().collect();
    tables.sort_by_key(|table| std::cmp::Reverse(table.calls));
    let width = tables.iter().map(|table| table.table.len()).max().unwrap_or(0).max("table".len());
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ =
        writeln!(text, "{:width$}  {:6}  {:>9}  {:>10}  {:>8}", "table", "by", "rows", "calls", "minutes");
    for table in tables {
        let rows = table.rows.map_or_else(unknown, |rows| rows.to_string());
        let calls = at_least(table.calls, table.at_least);
        let _ = writeln!(
            text,
            "{:width$}  {:6}  {rows:>9}  {calls:>10}  {:>8}",
            table.table,
            table.method.as_str(),
            minutes(table.minutes)
        );
    }
    let lower = if estimate.at_least { "at least " } else { "" };
    let _ = write!(text, "\nin all {lower}{} calls", estimate.calls);
    let _ = match (estimate.minutes, rates) {
        (Some(minutes), Some(Rates { plan, reserve, .. })) => writeln!(
            text,
            ", {lower}{minutes:.1} minutes at the limits of plan {}, {reserve} % left to others",
            plan.name
        ),
        _ => writeln!(text, "; name the plan to see minutes: auth0.plan (AUTH0_SYNC_PLAN)"),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Limits;
    use crate::ingest::{Expected, Method};

    #[test]
    fn the_dearest_table_comes_first_and_what_is_not_known_is_told() {
        let table = |table: &str, method, rows, calls, at_least, minutes| Expected {
            table: table.into(),
            method,
            rows,
            calls,
            at_least,
            minutes,
        };
        let mut estimate = Estimate {
            tables: vec![
                table("user", Method::Export, Some(1_000_000), 22, false, Some(0.03)),
                table("user_role", Method::List, None, 12_000, true, Some(12.5)),
            ],
            calls: 12_022,
            at_least: true,
            minutes: Some(12.53),
        };
        let limits = Limits::load().unwrap();
        let plan = limits.plan("enterprise").unwrap().clone();
        let rates = Rates { limits, plan, reserve: 20 };
        assert_eq!(
            listing(&estimate, Some(&rates)),
            "table      by           rows       calls   minutes\n\
             user_role  list            ?    >= 12000      12.5\n\
             user       export    1000000          22       0.0\n\
             \n\
             in all at least 12022 calls, at least 12.5 minutes at the limits of plan enterprise, 20 % left to others\n"
        );
        (estimate.minutes, estimate.at_least) = (None, false);
        assert!(
            listing(&estimate, None).ends_with(
                "in all 12022 calls; name the plan to see minutes: auth0.plan (AUTH0_SYNC_PLAN)\n"
            )
        );
    }
}
