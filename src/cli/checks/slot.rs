//! The replication slot: whose it is, and whether it still works.

use super::Report;
use crate::pg::{Slot, literal};

/// So much WAL kept for the slot is worth a look: the service confirms what it receives at once.
const MUCH: i64 = 1 << 30;

/// Looks at a slot that exists.
pub(in crate::cli) fn check(name: &str, slot: &Slot, report: &mut Report) {
    if !slot.fits {
        let drop = format!("select pg_drop_replication_slot({});", literal(name));
        let plugin = slot.plugin.as_deref().unwrap_or("no plugin (it is physical)");
        let database = slot.database.as_deref().unwrap_or("none");
        report.conflict(
            format!("slot {name} is somebody else's: {plugin}, database {database}"),
            format!("configure another name (AUTH0_SYNC_SLOT), or drop it: {drop}"),
        );
    } else if slot.is_lost() {
        report.warn(
            format!("slot {name} has lost WAL that it needs; no mutation is lost by it"),
            "setup and the service make a new one; what is unsettled is read from the table",
        );
    } else {
        report.good(format!("slot {name} exists"));
    }
}

/// Looks at a slot while the service should be running.
pub(in crate::cli) fn check_running(name: &str, slot: Option<&Slot>, report: &mut Report) {
    let Some(slot) = slot else {
        return report.wrong(
            format!("slot {name} is missing"),
            "run `auth0-sync setup`, or start the service: both make it",
        );
    };
    if !slot.active {
        report.wrong(
            format!("nobody reads from slot {name}: WAL piles up"),
            "start the service: `auth0-sync run`",
        );
    }
    let retained = slot.retained.unwrap_or_default();
    let status = slot.wal_status.as_deref().unwrap_or("unknown");
    let line = format!("slot {name} keeps {} of WAL ({status})", bytes(retained));
    if retained > MUCH || !matches!(status, "reserved" | "extended") {
        report.warn(line, "look at the service's log; set max_slot_wal_keep_size to put a limit to it");
    } else {
        report.good(line);
    }
}

/// `3.4 MB`.
pub(in crate::cli) fn bytes(number: i64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut size = number;
    if size < 1024 {
        return format!("{size} bytes");
    }
    let mut unit = 0;
    while size >= 1024 * 1024 && unit + 1 < UNITS.len() {
        size /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", size / 1024, size % 1024 * 10 / 1024, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_are_readable() {
        assert_eq!(bytes(12), "12 bytes");
        assert_eq!(bytes(1536), "1.5 kB");
        assert_eq!(bytes(3 << 30), "3.0 GB");
    }
}
