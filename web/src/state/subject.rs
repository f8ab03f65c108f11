use tachograph_core::registry::Kind;
use tachograph_core::wire::frame::Cell;

use super::query::{Query, QueryWriter};
use super::session::SessionKey;

/// What a chart shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A family of the registry.
    Family(FamilyReading),
    /// A figure of a session's sources.
    Session(SessionKey, Cell),
    /// A figure of the server as a whole.
    Overall(Overall),
}

/// How a family is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyReading {
    /// Its name.
    pub name: String,
    /// What of its values; nothing for what its kind is mostly read by.
    pub reading: Option<Reading>,
    /// How its series become lines.
    pub split: Split,
    /// The series that count: a label's name and the value it must have.
    pub only: Vec<(String, String)>,
}

/// What of a series is shown at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A counter's growth a second, or how many values a histogram got a second.
    Rate,
    /// A counter's total, or a histogram's.
    Total,
    /// A gauge's figure.
    Figure,
    /// A histogram's values since the tick before, as a heatmap with three quantiles.
    Heat,
    /// A quantile of them.
    P50,
    /// A quantile of them.
    P90,
    /// A quantile of them.
    P99,
    /// Their mean.
    Mean,
}

/// How the series of a family become lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Split {
    /// A line each where they are few, else their sum.
    Auto,
    /// A line each.
    Each,
    /// One line: their sum.
    Sum,
    /// One line: the largest.
    Max,
    /// A line for each value of a label: the sum of those that have it.
    By(String),
}

/// Figures of the server as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overall {
    /// Sessions by their worst state.
    Sessions,
    /// Frames dropped since the tick before, of all sources.
    Drops,
    /// How late the tick was.
    TickLag,
    /// Pages connected.
    Viewers,
}

/// A chart as it is chosen, kept and shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What it shows.
    pub subject: Subject,
    /// From where on it means trouble.
    pub threshold: Option<Threshold>,
}

/// A limit on a chart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// The limit, in the chart's unit.
    pub limit: f64,
    /// Whether what is below it means trouble.
    pub is_floor: bool,
}

impl Threshold {
    /// Whether a figure is beyond it.
    pub fn is_crossed(&self, figure: f64) -> bool {
        if self.is_floor { figure < self.limit } else { figure > self.limit }
    }
}

impl Reading {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Rate, Self::Total, Self::Figure, Self::Heat, Self::P50, Self::P90, Self::P99, Self::Mean];

    /// What can be read of a family of this kind; first what it is mostly read by.
    pub const fn of_kind(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Counter => &[Self::Rate, Self::Total],
            Kind::Gauge => &[Self::Figure],
            Kind::Histogram => &[Self::Heat, Self::P50, Self::P90, Self::P99, Self::Mean, Self::Rate, Self::Total],
        }
    }

    /// Its word in an address.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Total => "total",
            Self::Figure => "figure",
            Self::Heat => "heat",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::Mean => "mean",
        }
    }

    /// The share of values below it, of a quantile.
    pub(super) const fn share(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P90 => Some(0.9),
            Self::P99 => Some(0.99),
            _ => None,
        }
    }
}

impl Overall {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sessions, Self::Drops, Self::TickLag, Self::Viewers];

    /// Its word in an address.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Drops => "drops",
            Self::TickLag => "tick_lag",
            Self::Viewers => "viewers",
        }
    }

    /// What a chart of it is called, and its unit.
    pub const fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::Sessions => ("Sessions by worst state", ""),
            Self::Drops => ("Frames dropped", "/s"),
            Self::TickLag => ("Tick lag", "ms"),
            Self::Viewers => ("Viewers", ""),
        }
    }
}

impl FamilyReading {
    /// A family as it is mostly read.
    pub fn of(name: &str) -> Self {
        Self { name: name.into(), reading: None, split: Split::Auto, only: Vec::new() }
    }
}

impl Chart {
    /// A chart without a threshold.
    pub fn of(subject: Subject) -> Self {
        Self { subject, threshold: None }
    }

    /// A chart of a family as it is mostly read.
    pub fn of_family(name: &str) -> Self {
        Self::of(Subject::Family(FamilyReading::of(name)))
    }

    /// Writes it into an address; see [`read`](Self::read).
    pub fn write(&self, out: &mut QueryWriter) {
        match &self.subject {
            Subject::Family(family) => write_family(family, out),
            Subject::Session(key, cell) => {
                out.put("session", &key.text());
                out.put("cell", cell.name());
            }
            Subject::Overall(overall) => out.put("server", overall.key()),
        }
        if let Some(Threshold { limit, is_floor }) = self.threshold {
            out.put(if is_floor { "below" } else { "above" }, &crate::plot::exact(limit, ""));
        }
    }

    /// Reads what [`write`](Self::write) wrote; nothing where an address names no chart.
    pub fn read(query: &Query) -> Option<Self> {
        let subject = if let Some(name) = query.value("m") {
            Subject::Family(read_family(name, query))
        } else if let Some(key) = query.value("session") {
            let name = query.value("cell")?;
            Subject::Session(SessionKey::parse(key)?, Cell::ALL.iter().copied().find(|cell| cell.name() == name)?)
        } else {
            let name = query.value("server")?;
            Subject::Overall(Overall::ALL.into_iter().find(|overall| overall.key() == name)?)
        };
        let limit = |name| query.value(name).and_then(parse_number);
        let above = limit("above").map(|limit| Threshold { limit, is_floor: false });
        let below = limit("below").map(|limit| Threshold { limit, is_floor: true });
        Some(Self { subject, threshold: above.or(below) })
    }

    /// The address of the chart by itself, without what comes before the query.
    pub fn text(&self) -> String {
        let mut out = QueryWriter::default();
        self.write(&mut out);
        out.finish()
    }
}

fn write_family(family: &FamilyReading, out: &mut QueryWriter) {
    out.put("m", &family.name);
    if let Some(reading) = family.reading {
        out.put("r", reading.key());
    }
    match &family.split {
        Split::Auto => {}
        Split::Each => out.put("split", "each"),
        Split::Sum => out.put("split", "sum"),
        Split::Max => out.put("split", "max"),
        Split::By(label) => out.put("by", label),
    }
    for (name, value) in &family.only {
        out.put("only", &[name, "=", value].concat());
    }
}

fn read_family(name: &str, query: &Query) -> FamilyReading {
    let reading = query.value("r").and_then(|key| Reading::ALL.into_iter().find(|reading| reading.key() == key));
    let split = match (query.value("by"), query.value("split")) {
        (Some(label), _) => Split::By(label.into()),
        (None, Some("each")) => Split::Each,
        (None, Some("sum")) => Split::Sum,
        (None, Some("max")) => Split::Max,
        _ => Split::Auto,
    };
    let only = query.values("only").filter_map(|text| text.split_once('='));
    FamilyReading {
        name: name.into(),
        reading,
        split,
        only: only.map(|(name, value)| (name.into(), value.into())).collect(),
    }
}

/// A decimal number as a person types it; nothing where it is none.
pub fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let (sign, digits) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let (whole, part) = digits.split_once(['.', ',']).unwrap_or((digits, ""));
    let is_number = !(whole.is_empty() && part.is_empty()) && whole.len() + part.len() <= 18;
    if !is_number || !whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = whole.bytes().chain(part.bytes()).fold(0.0, |number, byte| number * 10.0 + f64::from(byte - b'0'));
    let scale = part.bytes().fold(1.0, |scale, _| scale * 10.0);
    Some(sign * digits / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(chart: &Chart) -> Option<Chart> {
        Chart::read(&Query::parse(&chart.text()))
    }

    #[test]
    fn every_chart_is_read_back_from_its_address() {
        let key = SessionKey { tag: 0xAB, id: 12 };
        let family = FamilyReading {
            name: "http requests".into(),
            reading: Some(Reading::P99),
            split: Split::By("route".into()),
            only: vec![("method".into(), "GET=&x".into()), ("code".into(), String::new())],
        };
        let threshold = Threshold { limit: -2.5, is_floor: true };
        let charts = [
            Chart { subject: Subject::Family(family), threshold: Some(threshold) },
            Chart::of_family("plain"),
            Chart::of(Subject::Session(key, Cell::ALL[4])),
            Chart::of(Subject::Overall(Overall::TickLag)),
        ];
        for chart in charts {
            assert_eq!(back(&chart).as_ref(), Some(&chart));
        }
        assert_eq!(Chart::read(&Query::parse("r=rate")), None);
    }

    #[test]
    fn numbers_are_read_as_people_type_them() {
        assert_eq!(["12", "0.25", " -3,5 ", ".5"].map(parse_number), [12.0, 0.25, -3.5, 0.5].map(Some));
        assert_eq!(["", "-", "1e3", "1.2.3", "ten", "9999999999999999999"].map(parse_number), [None; 6]);
    }
}
