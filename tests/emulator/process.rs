//! The program itself: the ready line, and a kill that nothing can prepare for.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the program on a free port; its ready line.
fn start(data: &Path) -> (Program, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_auth0-sync"))
        .args(["emulator", "--listen", "127.0.0.1:0", "--json", "--users", "5", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Program(child), serde_json::from_str(&line).unwrap())
}

async fn call(ready: &Value, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let base = ready["auth0_url"].as_str().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let token = json!({
        "grant_type": "client_credentials",
        "client_id": ready["client_id"],
        "client_secret": ready["client_secret"],
        "audience": format!("{base}/api/v2/"),
    });
    let token = http.post(format!("{base}/oauth/token")).json(&token).send().await.unwrap();
    let token: Value = serde_json::from_str(&token.text().await.unwrap()).unwrap();
    let request =
        http.request(method, format!("{base}{path}")).bearer_auth(token["access_token"].as_str().unwrap());
    let request = match &body {
        Some(body) => request.json(body),
        None => request,
    };
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn the_program_says_when_it_is_ready_and_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (mut program, ready) = start(folder.path());
    assert_eq!(ready["event"], "ready");
    assert_eq!(ready["pids"]["emulator"], program.0.id());
    let (status, made) = call(&ready, Method::POST, "/api/v2/roles", Some(json!({"name": "kept"}))).await;
    assert_eq!(status, 200);
    program.0.kill().unwrap();
    program.0.wait().unwrap();

    let (_program, again) = start(folder.path());
    assert_eq!(
        (&again["client_id"], &again["client_secret"]),
        (&ready["client_id"], &ready["client_secret"])
    );
    let path = format!("/api/v2/roles/{}", made["id"].as_str().unwrap());
    let (status, read) = call(&again, Method::GET, &path, None).await;
    assert_eq!((status, &read["name"]), (200, &json!("kept")));
}
