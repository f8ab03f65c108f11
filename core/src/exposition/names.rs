use alloc::collections::BTreeSet;
use alloc::string::String;

use crate::registry::{Descriptor, Kind};

const TOTAL: &str = "_total";
/// The label of a bucket.
pub(super) const BOUND: &str = "le";

/// The names that samples have until now.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// Takes the names of a family and of its samples. Returns whether they were all free, and none of a
    /// histogram's labels is called as that of its buckets.
    pub(super) fn take(&mut self, kind: Kind, descriptor: &Descriptor) -> bool {
        let base = base_of(kind, descriptor.name());
        let has_bound = kind == Kind::Histogram && descriptor.label_names().iter().any(|label| label == BOUND);
        let suffixes: &[&str] = match kind {
            Kind::Counter => &["", TOTAL, "_created"],
            Kind::Gauge => &[""],
            Kind::Histogram => &["", "_count", "_sum", "_bucket", "_created"],
        };
        let is_free = !has_bound && suffixes.iter().all(|suffix| !self.0.contains(&joined(base, suffix)));
        if is_free {
            self.0.extend(suffixes.iter().map(|suffix| joined(base, suffix)));
        }
        is_free
    }
}

pub(super) fn joined(base: &str, suffix: &str) -> String {
    [base, suffix].concat()
}

/// What OpenMetrics calls a family: a counter without the end that its samples have, if that is not all of it.
pub(super) fn base_of(kind: Kind, name: &str) -> &str {
    match kind {
        Kind::Counter => name.strip_suffix(TOTAL).filter(|base| !base.is_empty()).unwrap_or(name),
        _ => name,
    }
}

/// The end of the sample's name of a counter or a gauge.
pub(super) fn suffix_of(kind: Kind) -> &'static str {
    if kind == Kind::Counter { TOTAL } else { "" }
}

/// The unit as the family's name ends with it, whole or short: `_seconds` of `s`.
pub(super) fn unit_in_name<'a>(base: &str, unit: &'a str) -> Option<&'a str> {
    let long = match unit {
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "B" => "bytes",
        _ => unit,
    };
    let ends = |unit: &&str| base.strip_suffix(*unit).is_some_and(|rest| rest.ends_with('_'));
    [long, unit].into_iter().filter(|unit| !unit.is_empty()).find(ends)
}
