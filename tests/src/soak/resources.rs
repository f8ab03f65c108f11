use std::fs;

use super::auditor::Auditor;
use crate::Failure;

/// What the server's process takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resources {
    pub(super) resident_bytes: u64,
    pub(super) threads: u64,
    pub(super) descriptors: u64,
    pub(super) tasks: u64,
}

impl Resources {
    /// Of now; the tasks at the newest tick. The server is not asked: a question would itself take a thread.
    pub(super) fn of(pid: u32, auditor: &Auditor) -> Result<Self, Failure> {
        Ok(Self {
            resident_bytes: resident_bytes(pid)?,
            threads: status(pid, "Threads:")?,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
            tasks: auditor.alive_tasks(),
        })
    }

    pub(super) fn is_at_rest(&self, fresh: &Self) -> bool {
        self.threads <= fresh.threads && self.descriptors <= fresh.descriptors && self.tasks <= fresh.tasks
    }
}

/// Memory that is in use by the process, as the system sees it.
pub(super) fn resident_bytes(pid: u32) -> Result<u64, Failure> {
    Ok(status(pid, "VmRSS:")? * 1_024)
}

fn status(pid: u32, name: &str) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
