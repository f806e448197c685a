//! How fast the disk is right now, for it bounds everything durable.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// The median time of an appended page and its fdatasync.
pub fn fdatasync(dir: &Path) -> Duration {
    let path = dir.join("probe");
    let mut file = File::create(&path).unwrap();
    let times = (0..200).map(|_| {
        let began = Instant::now();
        file.write_all(&[0x5a; 4096]).unwrap();
        file.sync_data().unwrap();
        began.elapsed().as_secs_f64()
    });
    let median = crate::median(times.collect());
    std::fs::remove_file(path).unwrap();
    Duration::from_secs_f64(median)
}

pub fn described(time: Duration) -> String {
    let warning =
        if time > Duration::from_millis(1) { "  ABOVE 1 ms: something else uses the disk, take the figures with care" } else { "" };
    format!("{:.2} ms{warning}", time.as_secs_f64() * 1e3)
}
