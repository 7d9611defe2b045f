//! The judge of the emulator: every recorded session of real tenants, each from its own tenant,
//! played against it. Skipped, and it says so, where the recordings are not at hand.

#![expect(clippy::unwrap_used, reason = "a test fails by it, in its own functions too")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use auth0_sync::emulator::{Credentials, Emulator, Options};
use regex::Regex;
use serde_json::Value;

/// Score, and the least that it may be.
const LEAST: [(&str, f64); 5] =
    [("status", 98.0), ("shape", 95.0), ("error", 90.0), ("message", 80.0), ("macro", 88.0)];

/// A kind of tenant that sessions were recorded with.
struct Tenants {
    /// Sessions (`source/cassette`) of such tenants; the first kind that fits is taken.
    sessions: &'static str,
    /// Features that their plan lacks.
    without: &'static [&'static str],
    /// Scopes that their token lacked.
    withheld: &'static [&'static str],
    /// Emulators that share the sessions.
    shares: usize,
}

const TENANTS: [Tenants; 3] = [
    // A tenant of the deploy CLI's tests: its plan has no Akamai signals, its client lacks the scopes.
    Tenants {
        sessions: "^deploy-cli/",
        without: &["akamai_signals"],
        withheld: &["read:directory_provisionings", "read:organization_clients", "read:rate_limit_policies"],
        shares: 1,
    },
    // Tenants whose plan has no bot detection.
    Tenants { sessions: "InsufficientEntitlement", without: &["bot_detection"], withheld: &[], shares: 1 },
    Tenants { sessions: "", without: &[], withheld: &[], shares: 3 },
];

/// Calls that no server could answer as recorded: sessions, `status method path`, why.
const NOT_JUDGED: [(&str, &str, &str); 2] = [
    (
        "should-perform-dry-run-without-making-changes",
        "^429 GET .*/partials$",
        "the tenant's limit was used up by the sessions before; a limit counts by the minute, a replay takes a second",
    ),
    (
        "TestAccRolePermissionsImport$",
        "^200 GET .*/roles/.*/permissions$",
        "the permissions were given before the recording began, and the preload document cannot tell",
    ),
];

/// Writes the sessions of each kind into as many files as emulators share them:
/// `PICK recordings out '[["sessions", shares], …]'`.
const PICK: &str = r#"
import glob, gzip, json, re, sys
folder, out, kinds = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sessions = {}
for name in sorted(glob.glob(folder + '/dev/*.jsonl.gz')):
    for line in gzip.open(name, 'rt', encoding='utf-8'):
        call = json.loads(line)
        if 'seq' in call:
            sessions.setdefault((call['source'], call['cassette']), []).append(call)
files = [[open('%s/%d-%d.jsonl' % (out, i, j), 'w') for j in range(shares)] for i, (_, shares) in enumerate(kinds)]
sizes = [[0] * shares for _, shares in kinds]
for name, calls in sorted(sessions.items(), key=lambda item: -len(item[1])):
    kind = next(i for i, (pattern, _) in enumerate(kinds) if re.search(pattern, '/'.join(name)))
    share = sizes[kind].index(min(sizes[kind]))
    sizes[kind][share] += len(calls)
    files[kind][share].writelines(json.dumps(call) + '\n' for call in calls)
"#;

fn recordings() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/auth0/recordings");
    let named = std::env::var_os("AUTH0_RECORDINGS").map(PathBuf::from);
    Some(named.unwrap_or(beside)).filter(|folder| folder.join("replay.py").exists())
}

/// Plays the sessions of one file against a tenant of its own; the replayer's result.
fn play(recordings: PathBuf, sessions: PathBuf, base: String, client: Credentials) -> Value {
    let result = sessions.with_extension("json");
    let replay = Command::new("python3")
        .arg(recordings.join("replay.py"))
        .args([&base, "--client-id", &client.id, "--client-secret", &client.secret])
        .args(["--reset", "/_emulator/reset", "--preload", "/_emulator/preload"])
        .arg("--cassettes")
        .arg(&sessions)
        .arg("--json")
        .arg(&result)
        .output()
        .unwrap();
    let text = || String::from_utf8_lossy(&replay.stderr).into_owned();
    serde_json::from_slice(&std::fs::read(&result).unwrap_or_else(|_| panic!("{}", text()))).unwrap()
}

async fn emulator(tenants: &Tenants) -> (String, Credentials, tokio::task::JoinHandle<()>) {
    let without = tenants.without.iter().map(|feature| (*feature).to_owned()).collect();
    let withheld = tenants.withheld.iter().map(|scope| (*scope).to_owned()).collect();
    let emulator = Emulator::open(Options { without, withheld, ..Options::default() }).unwrap();
    let client = emulator.client().clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { emulator.serve(listener, std::future::pending()).await.unwrap() });
    (base, client, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_sessions_of_real_tenants_come_out_alike() {
    let Some(recordings) = recordings() else {
        eprintln!("skipped: the recordings are not at hand (../shared/auth0/recordings)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let kinds: Vec<_> = TENANTS.iter().map(|tenants| (tenants.sessions, tenants.shares)).collect();
    let pick = Command::new("python3")
        .args(["-c", PICK])
        .arg(&recordings)
        .arg(folder.path())
        .arg(serde_json::to_string(&kinds).unwrap())
        .status();
    assert!(pick.unwrap().success());
    let mut played = Vec::new();
    for (kind, tenants) in TENANTS.iter().enumerate() {
        for share in 0..tenants.shares {
            let (base, client, server) = emulator(tenants).await;
            let (recordings, sessions) =
                (recordings.clone(), folder.path().join(format!("{kind}-{share}.jsonl")));
            let replay = tokio::task::spawn_blocking(move || play(recordings, sessions, base, client));
            played.push((replay, server));
        }
    }
    let mut tally = Tally::default();
    for (replay, server) in played {
        let result = replay.await.unwrap();
        server.abort();
        for session in result["cassettes"].as_array().unwrap() {
            tally.session(session);
        }
    }
    tally.show();

    assert!(tally.calls > 6_000, "hardly anything was played: {} calls", tally.calls);
    let unused: Vec<_> =
        NOT_JUDGED.iter().zip(&tally.passed_over).filter(|(_, count)| **count == 0).collect();
    assert!(unused.is_empty(), "nothing to pass over: {unused:?}");
    for (name, least) in LEAST {
        let score = tally.score(name);
        assert!(score >= least, "{name} is {score:.2} %, below {least} %");
    }
}

/// Counts as the replayer's own summary has them, without the calls that are not judged.
#[derive(Default)]
struct Tally {
    calls: usize,
    /// Score → right answers, judged ones.
    scores: BTreeMap<&'static str, (usize, usize)>,
    /// Operation and recorded status → right answers, judged ones.
    cells: BTreeMap<(String, u64), (usize, usize)>,
    passed_over: [usize; NOT_JUDGED.len()],
}

impl Tally {
    fn session(&mut self, session: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = format!("{}/{}", text(&session["source"]), text(&session["cassette"]));
        let named: Vec<_> = NOT_JUDGED
            .iter()
            .enumerate()
            .filter(|(_, (sessions, ..))| Regex::new(sessions).unwrap().is_match(&name))
            .map(|(place, (_, calls, _))| (place, Regex::new(calls).unwrap()))
            .collect();
        for row in session["rows"].as_array().unwrap() {
            if row.get("skipped").is_some() {
                continue;
            }
            let (operation, status) = (text(&row["op"]), row["recorded"].as_u64().unwrap());
            let method = operation.split(' ').next().unwrap_or_default();
            let call = format!("{status} {method} {}", text(&row["path"]));
            if let Some((place, _)) = named.iter().find(|(_, calls)| calls.is_match(&call)) {
                self.passed_over[*place] += 1;
                continue;
            }
            self.calls += 1;
            let right = |field: &str| row[field].as_bool();
            let status_right = right("status_ok").unwrap_or_default();
            self.count("status", Some(status_right));
            self.count("shape", right("shape_ok"));
            self.count("error", right("error_ok"));
            self.count("message", right("message_ok"));
            let all = status_right && right("shape_ok").unwrap_or(true) && right("error_ok").unwrap_or(true);
            let cell = self.cells.entry((operation, status)).or_default();
            *cell = (cell.0 + usize::from(all), cell.1 + 1);
        }
    }

    fn count(&mut self, score: &'static str, right: Option<bool>) {
        let Some(right) = right else { return };
        let counted = self.scores.entry(score).or_default();
        *counted = (counted.0 + usize::from(right), counted.1 + 1);
    }

    /// In per cent.
    fn score(&self, name: &str) -> f64 {
        let share = |(right, all): &(usize, usize)| *right as f64 / (*all).max(1) as f64;
        if name == "macro" {
            return 100.0 * self.cells.values().map(share).sum::<f64>() / self.cells.len().max(1) as f64;
        }
        100.0 * self.scores.get(name).map_or(0.0, share)
    }

    fn show(&self) {
        let mut missed: Vec<_> = self.cells.iter().filter(|(_, (right, all))| right < all).collect();
        missed.sort_by_key(|(_, (right, all))| right.abs_diff(*all));
        for ((operation, status), (right, all)) in missed.iter().rev().take(25) {
            println!("{:5} of {all:5} wrong: {operation}, recorded {status}", all - right);
        }
        for (name, least) in LEAST {
            println!("{name} {:.2} % (at least {least} %)", self.score(name));
        }
        println!("{} calls; passed over {:?}", self.calls, self.passed_over);
    }
}
