//! What the service costs and how fast it is, on this machine, against the emulator: `cargo bench`,
//! or a part of it by name (`cargo bench -- backfill live`). Postgres keeps its promises here: fsync
//! is on. `--json` prints one JSON object; `--users N` and `--runs N` set the size of the backfill.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that cannot be made ends by panicking"
)]

mod backfill;
mod emulator;
mod figures;
mod live;
mod process;
#[path = "../../tests/support/mod.rs"]
mod support;
mod writeback;

use figures::{Figures, Options};

#[tokio::main]
async fn main() {
    let options = Options::read(std::env::args().skip(1));
    let mut figures = Figures::default();
    if options.wants("writeback") {
        writeback::measure(&mut figures).await;
    }
    if options.wants("live") {
        live::measure(&mut figures).await;
    }
    if options.wants("emulator") {
        emulator::measure(&mut figures, &options).await;
    }
    if options.wants("backfill") {
        backfill::measure(&mut figures, &options).await;
    }
    if options.json {
        println!("{}", figures.json());
    }
}
