//! Faults of a stream that is already on: what a test asks to go wrong. It only decides.

use std::time::Duration;

/// What goes wrong with the next event, or with the stream at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::emulator) enum StreamFault {
    /// The connection breaks.
    Drop,
    /// Nothing comes any more, heartbeats included, and the connection stays open.
    Stall,
    /// An `error` event with this code ends the stream.
    Error(String),
    /// The event comes twice.
    Duplicate,
    /// The event and the next one change places; offsets keep theirs.
    Disorder,
    /// The event comes so much later.
    Delay(Duration),
}

impl StreamFault {
    /// The fault of an order: `events_` and what it does.
    pub(super) fn of(what: &str, code: Option<String>, delay: Option<u64>) -> Option<StreamFault> {
        Some(match (what, code, delay) {
            ("events_drop", ..) => StreamFault::Drop,
            ("events_stall", ..) => StreamFault::Stall,
            ("events_error", Some(code), _) => StreamFault::Error(code),
            ("events_duplicate", ..) => StreamFault::Duplicate,
            ("events_disorder", ..) => StreamFault::Disorder,
            ("events_delay", _, Some(ms)) => StreamFault::Delay(Duration::from_millis(ms)),
            _ => return None,
        })
    }

    /// Whether it strikes without an event.
    fn is_of_the_stream(&self) -> bool {
        matches!(self, StreamFault::Drop | StreamFault::Stall | StreamFault::Error(_))
    }
}

#[derive(Clone, Debug)]
struct Rule {
    fault: StreamFault,
    times: Option<u32>,
    after: u32,
}

/// The orders for streams.
#[derive(Debug, Default)]
pub(in crate::emulator) struct StreamFaults(Vec<Rule>);

impl StreamFaults {
    /// Takes an order: `times` strikes (none: until cleared) after so many events have passed.
    pub(in crate::emulator) fn order(
        &mut self,
        (what, code, delay): (&str, Option<String>, Option<u64>),
        times: Option<u32>,
        after: u32,
    ) -> Result<(), String> {
        let fault = StreamFault::of(what, code, delay).ok_or_else(|| {
            "do is events_drop, events_stall, events_error (with code), events_duplicate, events_disorder or events_delay (with delay_ms)".to_owned()
        })?;
        self.0.push(Rule { fault, times, after });
        Ok(())
    }

    /// How many orders there are.
    pub(in crate::emulator) fn len(&self) -> usize {
        self.0.len()
    }

    /// The fault of the next event.
    pub(super) fn next(&mut self) -> Option<StreamFault> {
        let rule = self.0.first_mut()?;
        if rule.after > 0 {
            rule.after -= 1;
            return None;
        }
        self.strike()
    }

    /// The fault of the stream itself, while no event comes.
    pub(super) fn idle(&mut self) -> Option<StreamFault> {
        self.0.first().filter(|rule| rule.after == 0 && rule.fault.is_of_the_stream())?;
        self.strike()
    }

    fn strike(&mut self) -> Option<StreamFault> {
        let rule = self.0.first_mut()?;
        let fault = rule.fault.clone();
        rule.times = rule.times.map(|times| times.saturating_sub(1));
        if rule.times == Some(0) {
            self.0.remove(0);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_strike_one_after_the_other_so_often() {
        let mut faults = StreamFaults::default();
        faults.order(("events_duplicate", None, None), Some(1), 1).unwrap();
        faults.order(("events_error", Some("timeout".into()), None), Some(1), 0).unwrap();
        assert!(faults.order(("events_error", None, None), None, 0).is_err());
        assert_eq!(faults.idle(), None);
        assert_eq!(faults.next(), None, "one passes");
        assert_eq!(faults.next(), Some(StreamFault::Duplicate));
        assert_eq!(faults.idle(), Some(StreamFault::Error("timeout".into())));
        assert_eq!((faults.next(), faults.len()), (None, 0));
    }
}
