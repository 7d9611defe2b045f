//! Ports for one test alone: what listens there can be stopped and started again at the same one.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Below the ports that the system gives to outgoing connections: one of those would take it while
/// nobody listens, even one that looks for the listener.
const FIRST: u16 = 10_000;
const MANY: u16 = 20_000;

/// Locked as long as this process lives, so that no other test is given the same.
static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port of 127.0.0.1 at which nobody listens, for this process alone until it ends.
pub fn own_port() -> u16 {
    let folder = std::env::temp_dir().join(format!("auth0-sync-ports-{}", nix::unistd::Uid::effective()));
    std::fs::create_dir_all(&folder).unwrap();
    loop {
        let port = FIRST + rand::random::<u16>() % MANY;
        let lock = File::create(folder.join(port.to_string())).unwrap();
        if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
            return port;
        }
    }
}
