//! Links that hold for a while: who has one needs no token. They carry when they end and a keyed
//! hash over it, so that nothing has to be remembered.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::emulator::ids;

/// The query of a link to a job's file that holds until `until` (UNIX milliseconds); each is another.
pub(super) fn sign(key: &str, job: &str, until: i64) -> String {
    let pair = ids::word(20);
    let signature = signature(key, job, until, &pair);
    format!("Expires={until}&Key-Pair-Id={pair}&Signature={signature}")
}

/// Whether a link's query is one of ours and holds at `now` (UNIX milliseconds).
pub(super) fn holds(key: &str, job: &str, query: &str, now: i64) -> bool {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    let value = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let (Some(until), Some(pair), Some(sent)) = (value("Expires"), value("Key-Pair-Id"), value("Signature"))
    else {
        return false;
    };
    until.parse().is_ok_and(|until: i64| until > now && signature(key, job, until, pair) == sent)
}

fn signature(key: &str, job: &str, until: i64, pair: &str) -> String {
    // A key of any length serves.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    mac.update(format!("{job}\n{until}\n{pair}").as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_holds_for_its_job_until_its_end_and_each_is_new() {
        let link = sign("key", "job_1", 1_000);
        assert!(holds("key", "job_1", &link, 999));
        assert!(!holds("key", "job_1", &link, 1_000));
        assert!(!holds("key", "job_2", &link, 999));
        assert!(!holds("other", "job_1", &link, 999));
        assert!(!holds("key", "job_1", &link.replace("Expires=1000", "Expires=9000"), 999));
        assert!(!holds("key", "job_1", "", 999));
        assert_ne!(link, sign("key", "job_1", 1_000));
    }
}
