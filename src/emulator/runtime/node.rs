//! Node as a worker: started when the first Action runs, kept for the next ones, and ended when one of
//! them takes too long. It sees nothing of this process's environment.

use std::collections::HashMap;
use std::io;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

const WORKER: &str = include_str!("worker.js");
/// Auth0's limit for all the Actions of one run.
const LIMIT: Duration = Duration::from_secs(20);

/// Why nothing ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no Node here.
    Absent,
    /// The Actions took longer than Auth0 gives them.
    TooLong,
    /// The worker broke.
    Broken(String),
}

impl Failure {
    /// As an answer tells it.
    pub(super) fn text(&self) -> String {
        match self {
            Failure::Absent => "node is not in PATH, so no Action runs".to_owned(),
            Failure::TooLong => format!("the Actions took longer than {} seconds", LIMIT.as_secs()),
            Failure::Broken(what) => format!("node broke: {what}"),
        }
    }
}

/// The place of the worker.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Node(tokio::sync::Mutex<Option<Worker>>);

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// A running Node.
#[derive(Debug)]
struct Worker {
    input: ChildStdin,
    waiting: Waiting,
    ended: Arc<AtomicBool>,
    numbers: AtomicU64,
    _child: Child,
}

impl Node {
    /// Runs Actions one after another; `order` carries `actions`, `handler`, `event` and `blocking`.
    pub(super) async fn run(&self, mut order: Value) -> Result<Value, Failure> {
        let answer = {
            let mut place = self.0.lock().await;
            if place.as_ref().is_none_or(|worker| worker.ended.load(Ordering::SeqCst)) {
                *place = Some(Worker::start().map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => Failure::Absent,
                    _ => Failure::Broken(error.to_string()),
                })?);
            }
            let Some(worker) = place.as_mut() else { return Err(Failure::Absent) };
            let sent = worker.send(&mut order).await;
            sent.map_err(|error| Failure::Broken(error.to_string()))?
        };
        match tokio::time::timeout(LIMIT, answer).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err(Failure::Broken("it ended while Actions ran".to_owned())),
            Err(_) => {
                // A loop without end keeps all others from running; it goes with its process.
                self.0.lock().await.take();
                Err(Failure::TooLong)
            }
        }
    }
}

impl Worker {
    fn start() -> io::Result<Worker> {
        let mut command = Command::new("node");
        command.args(["--input-type=commonjs", "--eval", WORKER]).env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let mut child = command
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let pipe = || io::Error::other("a pipe of node is missing");
        let (input, output) = (child.stdin.take().ok_or_else(pipe)?, child.stdout.take().ok_or_else(pipe)?);
        let (waiting, ended) = (Waiting::default(), Arc::new(AtomicBool::new(false)));
        tokio::spawn(read(output, Arc::clone(&waiting), Arc::clone(&ended)));
        Ok(Worker { input, waiting, ended, numbers: AtomicU64::new(0), _child: child })
    }

    async fn send(&mut self, order: &mut Value) -> io::Result<oneshot::Receiver<Value>> {
        let id = self.numbers.fetch_add(1, Ordering::Relaxed);
        order["id"] = json!(id);
        let (told, answer) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, told);
        self.input.write_all(format!("{order}\n").as_bytes()).await?;
        self.input.flush().await?;
        Ok(answer)
    }
}

/// Hands out answers until Node ends; those who still wait then learn it.
async fn read(output: ChildStdout, waiting: Waiting, ended: Arc<AtomicBool>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(answer) = serde_json::from_str::<Value>(&line) else { continue };
        let id = answer["id"].as_u64();
        let told = id.and_then(|id| waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id));
        if let Some(told) = told {
            let _ = told.send(answer);
        }
    }
    ended.store(true, Ordering::SeqCst);
    waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
}
