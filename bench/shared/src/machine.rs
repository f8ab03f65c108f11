//! Where and with what was measured.

use std::process::Command;

const LOCK: &str = include_str!("../../Cargo.lock");

/// The version of a package that was built in.
pub fn version(package: &str) -> &'static str {
    chosen(package).or_else(|| only(package)).unwrap_or("unknown")
}

/// The version that the entry of the package of the peers in the lock file names, as it does where there are several.
fn chosen(package: &str) -> Option<&'static str> {
    let own = LOCK.split("[[package]]").find(|entry| entry.starts_with("\nname = \"tachograph-bench\""))?;
    own.lines()
        .find_map(|line| line.trim().strip_prefix('"')?.strip_prefix(package)?.strip_prefix(' ')?.strip_suffix("\","))
}

/// The version where there is only one.
fn only(package: &str) -> Option<&'static str> {
    let name = format!("name = \"{package}\"");
    let mut lines = LOCK.lines().skip_while(|line| *line != name).skip(1);
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

pub fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown processor".to_owned(), |(_, model)| model.trim().to_owned())
}

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Without the commit.
pub fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output().ok().filter(|output| output.status.success());
    let version = output.and_then(|output| String::from_utf8(output.stdout).ok());
    version.and_then(|version| Some(version.split_once(" (")?.0.to_owned())).unwrap_or_else(|| "rustc unknown".into())
}

/// Today in UTC.
pub fn date() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
