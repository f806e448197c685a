//! The smoke benchmark: Pelton beside the least that could do the same, measured in turns on the same machine in the same minute.
//! Only the ratios mean something elsewhere. `cargo xtask bench` runs it.

#![allow(clippy::unwrap_used, reason = "in a test an unwrap is an assertion")]

mod appends;
mod bare;
mod languages;
mod probe;
mod process;
mod readers;
mod replay;

use std::time::Duration;

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some(bare::ARGUMENT) => bare::serve(args.next().expect("a file").as_ref()),
        Some(languages::ARGUMENT) => languages::run(&args.filter(|arg| arg != "--bench").collect::<Vec<_>>()),
        Some(readers::ARGUMENT) => readers::run(),
        Some("--bench") => run(),
        _ => println!("this is a benchmark: run it with `cargo xtask bench`"),
    }
}

fn run() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let before = probe::fdatasync(dir.path());
    println!("fdatasync of 4 KiB, median    {}", probe::described(before));

    println!("\ndurable appends a second over HTTP, events of {} bytes", appends::EVENT_BYTES);
    println!("{:>14} {:>10} {:>10} {:>10} {:>7}", "connections", "streams", "pelton", "bare", "ratio");
    let appends = appends::measure(dir.path(), |row| {
        println!("{:>14} {:>10} {:>10.0} {:>10.0} {:>7.2}", row.connections, row.streams, row.pelton, row.bare, row.ratio);
    });

    println!("\nevents a second through `reduce`, {} events of {} bytes in pages of {}", replay::EVENTS, replay::EVENT_BYTES, replay::PAGE);
    let replay = replay::measure(dir.path());
    println!("{:>14} {:>10} {:>10} {:>7}", "", "pelton", "bare", "ratio");
    println!("{:>14} {:>10.0} {:>10.0} {:>7.2}", "replay", replay.pelton, replay.bare, replay.ratio);
    println!(
        "from the upload until all is handled; of that the answer to the upload, with compiled code at hand: {}",
        ms(replay.activation)
    );
    println!("the first upload, which compiles: {}; a bare compilation: {}", ms(replay.first_upload), ms(replay.compile));

    let after = probe::fdatasync(dir.path());
    println!("\nfdatasync of 4 KiB, median    {}", probe::described(after));
    println!("\nratios, pelton to bare:");
    for row in &appends {
        println!("  appends at {:>2} connections to {:>2} streams  {:.2}", row.connections, row.streams, row.ratio);
    }
    println!("  replay                                {:.2}", replay.ratio);
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// The middle one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
