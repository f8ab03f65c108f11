use super::format::{decimal, step_of};

/// Room that a label of a value takes, in pixels, and that a label of a time takes.
const VALUE_PIXELS: f32 = 34.0;
const TIME_PIXELS: f32 = 92.0;
/// Letters that the unit of a label may have: `MB/s` is as long as those of known units become.
const UNIT_LETTERS_MAX: usize = 4;
/// Steps between labels of time, in seconds.
const TIME_STEPS: [u32; 17] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200];

/// The values of a chart, from its lower edge to its upper, with labels at round ones.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueAxis {
    /// At the lower edge.
    pub low: f64,
    /// At the upper edge.
    pub high: f64,
    /// Round values and what they are called, ascending.
    pub ticks: Vec<(f64, String)>,
}

impl ValueAxis {
    /// An axis that holds all from `low` to `high`, and zero unless all is below it, for a height in pixels.
    pub fn of(low: f64, high: f64, unit: &str, pixels: f32) -> Self {
        let low = if low.is_finite() { low.min(0.0) } else { 0.0 };
        let high = if high.is_finite() && high > low { high } else { low + 1.0 };
        let labels = f64::from((pixels / VALUE_PIXELS).clamp(2.0, 8.0));
        let (divisor, name) = label_unit(high.abs().max(low.abs()), unit);
        let step = round_up((high - low) / divisor / labels);
        let first = (low / divisor / step).floor();
        let last = (high / divisor / step - 1e-9).ceil().max(first + 1.0);
        let decimals = decimals_of(step);
        let label = |number: f64| {
            let text = decimal(number * step, decimals);
            let space = if name.is_empty() || name.starts_with('/') { "" } else { "\u{202f}" };
            (number * step * divisor, [&text, space, &name].concat())
        };
        let ticks = (0..=(last - first) as u32).map(|number| label(first + f64::from(number))).collect();
        Self { low: first * step * divisor, high: last * step * divisor, ticks }
    }

    /// The axis before, as long as it holds all and a third of it is used: so it does not jump from second to
    /// second.
    pub fn steady(before: Option<&Self>, low: f64, high: f64, unit: &str, pixels: f32) -> Self {
        let now = Self::of(low, high, unit, pixels);
        let stays = |before: &&Self| {
            let holds = before.low <= now.low && before.high >= now.high;
            let same_unit = before.unit_of_last() == now.unit_of_last();
            holds && same_unit && (now.high - now.low) * 3.0 >= before.high - before.low
        };
        before.filter(stays).cloned().unwrap_or(now)
    }

    fn unit_of_last(&self) -> Option<&str> {
        let (_, label) = self.ticks.last()?;
        Some(
            label
                .trim_start_matches(|letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '-' | '\u{202f}')),
        )
    }
}

/// The divisor of labels up to this size, and the unit that they show: a long one of its own stands in the
/// legend, and here only its `M` or `/s`.
fn label_unit(size: f64, unit: &str) -> (f64, String) {
    let (divisor, name) = step_of(size, unit);
    if name.chars().count() <= UNIT_LETTERS_MAX {
        return (divisor, name);
    }
    step_of(size, if unit.ends_with("/s") { "/s" } else { "" })
}

/// The next of 1, 2, 5, 10, 20, 50, …
fn round_up(value: f64) -> f64 {
    let mut decade = 1e-9;
    while decade * 10.0 < value && decade < 1e300 {
        decade *= 10.0;
    }
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * decade)
        .find(|step| *step >= value * 0.999_999)
        .unwrap_or(decade * 10.0)
}

fn decimals_of(step: f64) -> u32 {
    let mut decimals = 0;
    let mut scaled = step;
    while decimals < 9 && (scaled - scaled.round()).abs() > 1e-6 {
        scaled *= 10.0;
        decimals += 1;
    }
    decimals
}

/// Moments between two, in Unix milliseconds, with what they are called by the clock of a zone so many
/// minutes ahead of UTC.
pub fn time_ticks(from_ms: f64, until_ms: f64, zone_minutes: i32, pixels: f32) -> Vec<(f64, String)> {
    let labels = f64::from((pixels / TIME_PIXELS).max(1.0));
    let wanted = (until_ms - from_ms).max(1.0) / 1_000.0 / labels;
    let step = TIME_STEPS.into_iter().find(|step| f64::from(*step) >= wanted).unwrap_or(86_400);
    let zone_ms = f64::from(zone_minutes) * 60_000.0;
    let step_ms = f64::from(step) * 1_000.0;
    let first = ((from_ms + zone_ms) / step_ms).ceil();
    let count = (((until_ms + zone_ms) / step_ms).floor() - first + 1.0).clamp(0.0, 200.0) as u32;
    let label = |number: u32| {
        let local_ms = (first + f64::from(number)) * step_ms;
        (local_ms - zone_ms, clock((local_ms / 1_000.0) as u64, step < 60))
    };
    (0..count).map(label).collect()
}

/// Seconds since a midnight long ago as a clock shows them; a midnight as its date.
fn clock(seconds: u64, has_seconds: bool) -> String {
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    if (hour, minute, second) == (0, 0, 0) {
        return date(seconds / 86_400);
    }
    let mut text = [&two(hour), ":", &two(minute)].concat();
    if has_seconds {
        text += &[":", &two(second)].concat();
    }
    text
}

fn two(value: u64) -> String {
    if value < 10 { ["0", &value.to_string()].concat() } else { value.to_string() }
}

/// The day of so many days after 1970-01-01, as `Nov 25`. Howard Hinnant's algorithm, from
/// "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
fn date(days: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = days + 719_468;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let name = MONTHS.get(((month + 2) % 12) as usize).copied().unwrap_or_default();
    [name, " ", &day.to_string()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[(f64, String)]) -> Vec<String> {
        ticks.iter().map(|(_, label)| label.replace('\u{202f}', " ")).collect()
    }

    #[test]
    fn bounds_are_round_and_hold_zero() {
        let axis = ValueAxis::of(12.0, 83.0, "ms", 150.0);
        assert_eq!((axis.low, axis.high), (0.0, 100.0));
        assert_eq!(labels(&axis.ticks), ["0 ms", "20 ms", "40 ms", "60 ms", "80 ms", "100 ms"]);
        let axis = ValueAxis::of(0.0, 1_950_000.0, "bytes/s", 150.0);
        assert_eq!(labels(&axis.ticks), ["0.0 MB/s", "0.5 MB/s", "1.0 MB/s", "1.5 MB/s", "2.0 MB/s"]);
        assert_eq!(labels(&ValueAxis::of(0.0, 0.9, "ratio", 100.0).ticks), ["0 %", "50 %", "100 %"]);
        let axis = ValueAxis::of(-5.0, 5.0, "", 100.0);
        assert_eq!((axis.low, axis.high), (-5.0, 5.0));
    }

    #[test]
    fn a_long_unit_is_left_to_the_legend() {
        let of = |high, unit| labels(&ValueAxis::of(0.0, high, unit, 70.0).ticks);
        assert_eq!(of(2.0, "frames"), ["0", "1", "2"]);
        assert_eq!(of(2.0, "frames/s"), ["0/s", "1/s", "2/s"]);
        assert_eq!(of(2e6, "sessions"), ["0 M", "1 M", "2 M"]);
        assert_eq!(of(2.0, "jobs"), ["0 jobs", "1 jobs", "2 jobs"]);
    }

    #[test]
    fn nothing_and_one_value_have_an_axis_too() {
        for (low, high) in [(f64::NAN, f64::NAN), (0.0, 0.0), (7.0, 7.0), (-3.0, -3.0), (1e-12, 1e-12), (0.0, 1e300)] {
            let axis = ValueAxis::of(low, high, "s", 150.0);
            assert!(axis.high > axis.low && axis.ticks.len() >= 2 && axis.ticks.len() < 20, "{low} {high} {axis:?}");
        }
    }

    #[test]
    fn an_axis_stays_while_it_fits() {
        let before = ValueAxis::of(0.0, 83.0, "", 150.0);
        let steady = |high| ValueAxis::steady(Some(&before), 0.0, high, "", 150.0).high;
        assert_eq!([95.0, 40.0, 101.0, 20.0].map(steady), [100.0, 100.0, 150.0, 20.0]);
    }

    #[test]
    fn times_are_round_by_the_readers_clock() {
        // 2025-11-25 00:59:55 UTC.
        let from = 1_764_032_395_000.0;
        assert_eq!(
            labels(&time_ticks(from, from + 60_000.0, 0, 400.0)),
            ["01:00:00", "01:00:15", "01:00:30", "01:00:45"]
        );
        let half = time_ticks(from, from + 3_600_000.0, 330, 300.0);
        assert_eq!(labels(&half), ["06:30", "07:00"]);
        let night = time_ticks(from, from + 3_600_000.0, -60, 400.0);
        assert_eq!(labels(&night), ["Nov 25", "00:15", "00:30", "00:45"]);
    }
}
