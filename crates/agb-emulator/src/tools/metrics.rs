//! The tool `get_metrics`.
//!
//! Sessions have no limits of their own, so processor, memory and network are those of the host; the disk is the one
//! that the session's files are on. Members: docs/protocol.md, section Tools.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::ToolOutput;
use super::filesystem::{DiskUse, disk_use};
use crate::sandbox::Sandbox;

/// Real time between the two looks that shares and rates are made of.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long the look at the disk may take, in real time.
const DISK_TIME: Duration = Duration::from_secs(5);

const KBYTE: u64 = 1024;

/// Measures processor, memory, disk and network use; takes about 100 ms.
///
/// The answer is a JSON object. What a system doesn't tell is 0.
pub async fn call(sandbox: &Sandbox) -> ToolOutput {
    let files = match sandbox.files().await {
        Ok(files) => files,
        Err(error) => return ToolOutput::error(error.to_string()),
    };
    let disk = match disk_use(files, DISK_TIME).await {
        Ok(disk) => disk,
        Err(reason) => return ToolOutput::error(format!("The session's disk can't be measured: {reason}")),
    };
    let memory = memory_use().await;
    let (first, begin) = (Counters::read(), Instant::now());
    tokio::time::sleep(INTERVAL).await;
    let (second, elapsed) = (Counters::read(), begin.elapsed());
    ToolOutput::ok(report(disk, memory, &first, &second, elapsed))
}

fn report(disk: DiskUse, memory: MemoryUse, first: &Counters, second: &Counters, elapsed: Duration) -> String {
    let rate = |before: u64, after: u64| per_second(after.saturating_sub(before), elapsed);
    json!({
        "cpu_count": std::thread::available_parallelism().map_or(1, usize::from),
        "cpu_used_pct": rounded(first.processor.busy_share(&second.processor) * 100.0),
        "disk_total": disk.total_bytes,
        "disk_used": disk.used_bytes,
        "mem_total": memory.total_bytes,
        "mem_used": memory.used_bytes,
        "rx_rate_kbyte_per_s": rate(first.network.received_bytes, second.network.received_bytes),
        "tx_rate_kbyte_per_s": rate(first.network.sent_bytes, second.network.sent_bytes),
        "rx_used_kbyte": second.network.received_bytes / KBYTE,
        "tx_used_kbyte": second.network.sent_bytes / KBYTE,
        "timestamp": format!("{:.3}", jiff::Timestamp::now()),
    })
    .to_string()
}

#[allow(clippy::cast_precision_loss, reason = "a rate with two decimals")]
fn per_second(bytes: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 { rounded(bytes as f64 / KBYTE as f64 / seconds) } else { 0.0 }
}

fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// What only grows, at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counters {
    processor: Processor,
    network: Network,
}

impl Counters {
    fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
        Self { processor: Processor::parse(&text("/proc/stat")), network: Network::parse(&text("/proc/net/dev")) }
    }
}

/// Processor time since the start of the host, in its own ticks.
#[derive(Debug, Default, PartialEq, Eq)]
struct Processor {
    total: u64,
    idle: u64,
}

impl Processor {
    /// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; what follows is
    /// contained in the first two.
    fn parse(stat: &str) -> Self {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
        let times: Vec<u64> = line.split_whitespace().take(8).filter_map(|time| time.parse().ok()).collect();
        Self { total: times.iter().sum(), idle: times.iter().skip(3).take(2).sum() }
    }

    /// The share of time in use until `later`, from 0 to 1.
    #[allow(clippy::cast_precision_loss, reason = "a share with two decimals")]
    fn busy_share(&self, later: &Self) -> f64 {
        let total = later.total.saturating_sub(self.total);
        let idle = later.idle.saturating_sub(self.idle).min(total);
        if total == 0 { 0.0 } else { (total - idle) as f64 / total as f64 }
    }
}

/// Bytes through all interfaces but the loopback since the start of the host.
#[derive(Debug, Default, PartialEq, Eq)]
struct Network {
    received_bytes: u64,
    sent_bytes: u64,
}

impl Network {
    /// `/proc/net/dev`: one `name: received … (8 columns) sent …` a line, after two lines of headings.
    fn parse(interfaces: &str) -> Self {
        let mut sum = Self::default();
        for (name, counts) in interfaces.lines().filter_map(|line| line.split_once(':')) {
            if name.trim() == "lo" {
                continue;
            }
            let column = |index| counts.split_whitespace().nth(index).and_then(|count| count.parse().ok()).unwrap_or(0);
            sum.received_bytes = sum.received_bytes.saturating_add(column(0));
            sum.sent_bytes = sum.sent_bytes.saturating_add(column(8));
        }
        sum
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct MemoryUse {
    total_bytes: u64,
    used_bytes: u64,
}

impl MemoryUse {
    /// `/proc/meminfo`, in KiB. Used is what a new program could not get.
    fn parse(meminfo: &str) -> Self {
        let bytes = |name: &str| {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kbytes: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            kbytes.unwrap_or(0).saturating_mul(KBYTE)
        };
        let total_bytes = bytes("MemTotal");
        Self { total_bytes, used_bytes: total_bytes.saturating_sub(bytes("MemAvailable")) }
    }
}

#[cfg(target_os = "linux")]
async fn memory_use() -> MemoryUse {
    MemoryUse::parse(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default())
}

/// Elsewhere only the size is asked for, from a tool that macOS and the BSDs have.
#[cfg(not(target_os = "linux"))]
async fn memory_use() -> MemoryUse {
    let output = tokio::process::Command::new("sysctl").args(["-n", "hw.memsize"]).output().await;
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    MemoryUse { total_bytes: text.trim().parse().unwrap_or(0), used_bytes: 0 }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_busy_share_leaves_out_idle_and_waiting_time() {
        let first = Processor::parse("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 1 1 1\n");
        let second = Processor::parse("cpu  130 0 120 740 110 0 0 0 60 0\n");
        assert_eq!(first, Processor { total: 1000, idle: 800 });
        assert!((first.busy_share(&second) - 0.5).abs() < 1e-9);
        assert!(first.busy_share(&first).abs() < 1e-9);
        assert!(second.busy_share(&first).abs() < 1e-9);
    }

    #[test]
    fn the_network_counts_all_interfaces_but_the_loopback() {
        let text = "Inter-| Receive | Transmit\n face |bytes packets|bytes packets\n\
                    \u{20}   lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n\
                    \u{20} eth0: 2048 1 0 0 0 0 0 0 1024 1 0 0 0 0 0 0\n\
                    \u{20} eth1:10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n";
        assert_eq!(Network::parse(text), Network { received_bytes: 2058, sent_bytes: 1044 });
        assert_eq!(Network::parse("rubbish"), Network::default());
    }

    #[test]
    fn used_memory_is_what_is_not_available() {
        let text = "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  400 kB\n";
        assert_eq!(MemoryUse::parse(text), MemoryUse { total_bytes: 1_024_000, used_bytes: 614_400 });
        assert_eq!(MemoryUse::parse(""), MemoryUse::default());
    }

    #[test]
    fn rates_are_kbytes_a_second() {
        let counters = |received_bytes| Counters {
            network: Network { received_bytes, sent_bytes: 0 },
            processor: Processor::default(),
        };
        let disk = DiskUse { total_bytes: 10, used_bytes: 4 };
        let half = Duration::from_millis(500);
        let text = report(disk, MemoryUse::default(), &counters(0), &counters(4096), half);
        let report: Value = serde_json::from_str(&text).expect("a JSON object");
        assert_eq!(report["rx_rate_kbyte_per_s"], 8.0);
        assert_eq!(report["tx_rate_kbyte_per_s"], 0.0);
        assert_eq!(report["rx_used_kbyte"], 4);
        assert_eq!(report["disk_used"], 4);
        assert!(per_second(10, Duration::ZERO).abs() < 1e-9);
    }

    #[tokio::test]
    async fn this_host_has_processors_memory_and_a_disk() {
        let home = tempfile::tempdir().expect("a directory");
        let files = crate::sandbox::SandboxFiles::Plain {
            home: home.path().to_owned(),
            tmp: home.path().to_owned(),
            user: None,
        };
        let disk = disk_use(files, DISK_TIME).await.expect("a disk");
        assert!(disk.total_bytes > 0 && disk.used_bytes <= disk.total_bytes);
        assert!(memory_use().await.total_bytes > 0);
        let counters = Counters::read();
        let text = report(disk, memory_use().await, &counters, &Counters::read(), INTERVAL);
        let report: Value = serde_json::from_str(&text).expect("a JSON object");
        assert!(report["cpu_count"].as_u64() >= Some(1));
        let share = report["cpu_used_pct"].as_f64().expect("a number");
        assert!((0.0..=100.0).contains(&share));
        let time = report["timestamp"].as_str().expect("a text");
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    }
}
