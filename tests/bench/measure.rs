//! Processor time and peak memory, as Linux tells them.

use std::fs::read_to_string;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// Processor time of this program so far, in steps of 10 ms: fields 14 and 15 of /proc/self/stat, hundredths of a second.
#[allow(dead_code)]
pub fn processor_seconds() -> Option<f64> {
    let stat = read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

/// Runs a program without its output. Returns how it ended and the most memory it had in RAM, bytes: the high-water mark
/// that the kernel keeps, looked at every 2 ms until the end; 0 where there is none.
pub fn peak_memory(command: &mut Command) -> (ExitStatus, u64) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program must start");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let ended = child.try_wait().expect("a child");
        let text = read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(1024 * kib.unwrap_or(0));
        if let Some(ended) = ended {
            return (ended, peak);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
