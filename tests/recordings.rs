//! The judge of the emulator: recorded sessions of real tenants, played against it. Skipped, and
//! it says so, where the recordings are not at hand.

use std::path::{Path, PathBuf};
use std::process::Command;

use auth0_sync::emulator::{Emulator, Options};
use serde_json::Value;

/// Sessions whose calls to the Management API all stay within these paths are played.
const PATHS: &str = concat!(
    "^/api/v2(/users|/users/[^/]+|/users/[^/]+/(roles|organizations)|/users-by-email|/roles|/roles/[^/]+",
    "|/roles/[^/]+/users|/organizations|/organizations/[^/]+|/organizations/name/[^/]+",
    "|/organizations/[^/]+/members|/clients|/clients/[^/]+|/connections|/connections/[^/]+",
    "|/tenants/settings)$",
);

/// Picks the sessions: `PICK recordings paths out`.
const PICK: &str = r#"
import glob, gzip, json, re, sys
folder, paths, out = sys.argv[1], re.compile(sys.argv[2]), open(sys.argv[3], 'w')
sessions = {}
for name in sorted(glob.glob(folder + '/dev/*.jsonl.gz')):
    for line in gzip.open(name, 'rt', encoding='utf-8'):
        call = json.loads(line)
        if 'seq' in call:
            sessions.setdefault((call['source'], call['cassette']), []).append(call)
for calls in sessions.values():
    ours = [call['path'] for call in calls if call['path'].startswith('/api/v2')]
    if ours and all(paths.match(path) for path in ours):
        out.writelines(json.dumps(call) + '\n' for call in calls)
"#;

/// Score, and the least that it may be.
const LEAST: [(&str, f64); 5] =
    [("status", 98.5), ("shape", 96.0), ("error", 90.0), ("message", 90.0), ("macro", 92.0)];

fn recordings() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/auth0/recordings");
    let named = std::env::var_os("AUTH0_RECORDINGS").map(PathBuf::from);
    Some(named.unwrap_or(beside)).filter(|folder| folder.join("replay.py").exists())
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_sessions_of_real_tenants_come_out_alike() {
    let Some(recordings) = recordings() else {
        eprintln!("skipped: the recordings are not at hand (../shared/auth0/recordings)");
        return;
    };
    let emulator = Emulator::open(Options::default()).unwrap();
    let client = emulator.client().clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(emulator.serve(listener, std::future::pending()));

    let scores = tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir().unwrap();
        let (sessions, result) = (folder.path().join("sessions.jsonl"), folder.path().join("result.json"));
        let pick =
            Command::new("python3").args(["-c", PICK]).arg(&recordings).arg(PATHS).arg(&sessions).status();
        assert!(pick.unwrap().success());
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
        let text = String::from_utf8_lossy(&replay.stdout).into_owned();
        print!("{}", text.split("worst operations").nth(1).unwrap_or(&text));
        let result: Value = serde_json::from_slice(&std::fs::read(result).unwrap()).unwrap();
        result["total"].clone()
    })
    .await
    .unwrap();
    server.abort();

    assert!(scores["interactions"].as_u64().unwrap() > 1_000, "hardly anything was played: {scores}");
    for (name, least) in LEAST {
        let score = scores[name].as_f64().unwrap();
        assert!(score >= least, "{name} is {score} %, below {least} %");
    }
}
