//! What the service costs and how fast it is, on this machine, against the emulator: `cargo bench`,
//! or a part of it by name (`cargo bench -- backfill live`). Postgres keeps its promises here: fsync
//! is on. A table goes to stdout, JSON to `target/figures.json` or where `--json FILE` says; `--users N` and
//! `--runs N` set the size of the backfill, `--rows N` that of the large table, `--budget-seconds N` how long a
//! plan's budget is used.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that cannot be made ends by panicking"
)]

mod backfill;
mod bare;
mod budget;
mod copy;
mod emulator;
mod figures;
mod idle;
mod live;
mod options;
mod process;
mod size;
mod strict;
#[path = "../../tests/support/mod.rs"]
mod support;
mod writeback;

use figures::Figures;
use options::Options;

#[tokio::main]
async fn main() {
    let options = Options::read(std::env::args().skip(1));
    let mut figures = Figures::default();
    if options.wants("writeback") {
        writeback::measure(&mut figures).await;
    }
    if options.wants("rate") {
        writeback::rate(&mut figures).await;
    }
    if options.wants("capture") {
        writeback::captured(&mut figures).await;
    }
    if options.wants("size") {
        size::measure(&mut figures, &options).await;
    }
    if options.wants("strict") {
        strict::measure(&mut figures).await;
    }
    if options.wants("live") {
        live::measure(&mut figures).await;
    }
    if options.wants("budget") {
        budget::measure(&mut figures, &options).await;
    }
    if options.wants("idle") {
        idle::measure(&mut figures).await;
    }
    if options.wants("emulator") {
        emulator::measure(&mut figures, &options).await;
    }
    if options.wants("backfill") {
        backfill::measure(&mut figures, &options).await;
    }
    figures.write(&options.json, process::machine());
    print!("{}", figures.table());
}
