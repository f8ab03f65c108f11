//! The document: tables in Markdown.

mod sizes;
mod targets;
mod times;
mod whole;

use bench_shared::machine;
use bench_shared::table::grouped;

use crate::Findings;
use bench_shared::command::Effort;

/// All of it.
pub fn document(findings: &Findings, effort: Effort) -> String {
    let mut sections = vec![format!("# Stream benchmarks\n\n{}", introduction(effort))];
    sections.push(format!("## Targets\n\n{}", targets::table(findings).render()));
    sections.extend(findings.bytes.as_ref().map(sizes::section));
    sections.extend(findings.speed.as_ref().map(times::section));
    sections.extend(findings.viewers.as_ref().map(whole::viewers));
    sections.extend(findings.arrival.as_ref().map(whole::arrival));
    sections.join("\n\n") + "\n"
}

fn introduction(effort: Effort) -> String {
    let [processor, compiler, date] = [machine::processor(), machine::compiler(), machine::date()];
    let cores = machine::cores();
    let quick = if effort == Effort::Quick { " Quick: figures to look at, not to publish." } else { "" };
    format!(
        "Tachograph's binary stream (see [protocol.md](protocol.md)) beside other formats, measured by `bench/` on \
         {date}: {processor}, {cores} cores, {compiler}, optimised with thin link-time optimisation in one codegen \
         unit, for the processor's baseline.{quick}",
    )
}

fn percent(share: f64) -> String {
    format!("{} %", (100.0 * share).round())
}
