//! What the system knows of a process, and of itself.

use std::fs;

use serde_json::{Value, json};

/// The most memory that it ever had at once, in megabytes.
pub(crate) fn peak_memory(pid: u32) -> f64 {
    status(pid, "VmHWM:").unwrap()
}

/// The memory that it has now, in megabytes; none where it has ended.
pub(crate) fn memory(pid: u32) -> Option<f64> {
    status(pid, "VmRSS:")
}

fn status(pid: u32, name: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap() / 1024.0)
}

/// Processor time that it has used, in seconds, all threads together; none where it has ended.
pub(crate) fn processor_time(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold anything: utime and stime are the 12th and 13th.
    let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().unwrap()).sum();
    Some(ticks / 100.0)
}

/// Processor time of all processes, and what the machine could have given, in seconds since it started.
pub(crate) fn busy() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let line = stat.lines().next().unwrap();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).take(8).map(|n| n.parse().unwrap()).collect();
    let all: f64 = ticks.iter().sum();
    // The fourth and fifth are idle, and waiting for a disk.
    ((all - ticks[3] - ticks[4]) / 100.0, all / 100.0)
}

/// What figures depend on.
pub(crate) fn machine() -> Value {
    let of = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("", |(_, value)| value.trim()).to_owned()
    };
    json!({
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
        "model": of("/proc/cpuinfo", "model name"),
        "memory": of("/proc/meminfo", "MemTotal"),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    })
}
