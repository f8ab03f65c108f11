//! Numbers as text, with their units. Thousands are set apart by a narrow space, and decimals are made from
//! whole numbers: what the language itself brings for floats is larger than all of this.

const THIN_SPACE: char = '\u{202f}';
/// Stands for what is not known.
pub const DASH: &str = "–";

/// A whole number: `12 345`.
///
/// ```
/// use tachograph_web::plot::count;
///
/// assert_eq!(count(12_345), "12\u{202f}345");
/// ```
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(THIN_SPACE);
        }
        text.push(digit);
    }
    text
}

/// With so many decimals, at most 9; half is rounded away from zero. What is too large for that has an
/// exponent, what is not a number a dash.
pub fn decimal(value: f64, decimals: u32) -> String {
    let scale = 10_u64.pow(decimals.min(9));
    let scaled = (value.abs() * scale as f64).round();
    match () {
        () if !value.is_finite() => DASH.into(),
        () if scaled >= 1e18 => exponential(value),
        () => {
            let scaled = scaled as u64;
            let sign = if value < 0.0 && scaled > 0 { "-" } else { "" };
            [sign, &count(scaled / scale), &fraction(scaled % scale, decimals)].concat()
        }
    }
}

fn fraction(part: u64, decimals: u32) -> String {
    if decimals == 0 {
        return String::new();
    }
    let digits = part.to_string();
    [".", &"0".repeat(decimals as usize - digits.len()), &digits].concat()
}

fn exponential(value: f64) -> String {
    let mut exponent = 0_u64;
    let mut size = value.abs();
    while size >= 9.995 {
        size /= 10.0;
        exponent += 1;
    }
    let sign = if value < 0.0 { "-" } else { "" };
    [sign, &decimal(size, 2), "e", &exponent.to_string()].concat()
}

/// With up to six decimals, nine of what is small, and no more than needed, and its unit if it has one; no thousands are
/// set apart, so that it can be read by a machine, too.
pub fn exact(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return DASH.into();
    }
    let most = match value.abs() {
        size if size >= 1e9 => 3,
        size if size >= 1e-3 => 6,
        _ => 9,
    };
    let is_whole = |decimals: &i32| (value * 10_f64.powi(*decimals)).fract() == 0.0;
    let mut text = decimal(value, (0..most).find(is_whole).unwrap_or(most) as u32);
    text.retain(|letter| letter != THIN_SPACE);
    if text.contains('.') && !text.contains('e') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    with_unit(text, unit)
}

fn with_unit(mut text: String, unit: &str) -> String {
    if !unit.is_empty() {
        if !unit.starts_with('/') {
            text.push(THIN_SPACE);
        }
        text.push_str(unit);
    }
    text
}

/// With as many decimals as its size makes worth reading: `2`, `0.42`, `31.5`, `812`.
fn plain(value: f64) -> String {
    let size = value.abs();
    decimal(
        value,
        match () {
            () if size >= 99.95 || value == value.round() => 0,
            () if size >= 9.995 => 1,
            () if size >= 0.01 => 2,
            () => 4,
        },
    )
}

/// The steps of a unit: from which size on which name holds, and by what it is divided.
fn steps(unit: &str) -> &'static [(f64, &'static str)] {
    match unit {
        "ms" => &[(60_000.0, "min"), (1_000.0, "s"), (1.0, "ms"), (0.001, "µs")],
        "s" => &[(60.0, "min"), (1.0, "s"), (0.001, "ms"), (0.000_001, "µs")],
        "us" => &[(1e6, "s"), (1e3, "ms"), (1.0, "µs"), (0.001, "ns")],
        "ns" => &[(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")],
        "bytes" => &[(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")],
        "ratio" => &[(0.01, "%")],
        "percent" => &[(1.0, "%")],
        _ => &[(1e9, "G"), (1e6, "M"), (1.0, "")],
    }
}

/// The name and the divisor that a unit has at this size. What is counted a second keeps its `/s`.
pub(super) fn step_of(size: f64, unit: &str) -> (f64, String) {
    let (base, each) = unit.strip_suffix("/s").map_or((unit, ""), |base| (base, "/s"));
    let held = steps(base);
    let found = held.iter().find(|(from, _)| size >= *from * 0.9995);
    let is_small = matches!(base, "ms" | "s" | "us" | "ns");
    let smallest = if is_small && size > 0.0 { held.last() } else { held.iter().find(|(from, _)| *from == 1.0) };
    let (divisor, name) = found.or(smallest).or(held.last()).copied().unwrap_or((1.0, ""));
    let is_known = !matches!(base, "") && held.last().is_none_or(|(_, name)| name.is_empty());
    let own = if is_known {
        [name, if name.is_empty() { "" } else { " " }, base, each].concat()
    } else {
        [name, each].concat()
    };
    (divisor, own)
}

/// A figure in its unit, short: `42.3 ms`, `1.92 MB`, `43 %`, `3.2 kB/s`.
pub fn short(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return DASH.into();
    }
    let (divisor, name) = step_of(value.abs(), unit);
    with_unit(plain(value / divisor), &name)
}

/// A share of one: `42 %`.
pub fn percent(ratio: f64) -> String {
    with_unit(decimal(ratio * 100.0, 0), "%")
}

/// Seconds with the wire's two decimals: `0.84 s`.
pub fn seconds(value: f64) -> String {
    with_unit(decimal(value, 2), "s")
}

/// Milliseconds: `42.3 ms`, `812 ms`, from 10 s on `12.3 s`.
pub fn millis(value: f64) -> String {
    match value {
        _ if value < 100.0 => with_unit(decimal(value, 1), "ms"),
        _ if value < 10_000.0 => with_unit(decimal(value, 0), "ms"),
        _ => with_unit(decimal(value / 1000.0, 1), "s"),
    }
}

/// Bytes in decimal units: `640 B`, `64.2 kB`, `1.92 MB`.
pub fn bytes(value: f64) -> String {
    short(value, "bytes")
}

/// A span of time, its two largest parts: `12 s`, `3 min 05 s`, `2 h 14 min`, `4 d 7 h`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    let two = |value: u64| if value < 10 { ["0", &value.to_string()].concat() } else { value.to_string() };
    let parts = match () {
        () if minutes == 0 => [(whole.to_string(), "s"), (String::new(), "")],
        () if hours == 0 => [(minutes.to_string(), "min"), (two(whole % 60), "s")],
        () if days == 0 => [(hours.to_string(), "h"), (two(minutes % 60), "min")],
        () => [(days.to_string(), "d"), ((hours % 24).to_string(), "h")],
    };
    let told = parts.into_iter().filter(|(_, unit)| !unit.is_empty()).map(|(figure, unit)| with_unit(figure, unit));
    told.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spaced(text: &str) -> String {
        text.replace(THIN_SPACE, " ")
    }

    #[test]
    fn whole_numbers_are_grouped_by_three() {
        assert_eq!([7, 999, 1_000, 12_345_678].map(|value| spaced(&count(value))), ["7", "999", "1 000", "12 345 678"]);
    }

    #[test]
    fn decimals_are_rounded_away_from_zero() {
        let cases = [(0.0, 0), (0.5, 0), (-0.5, 0), (1.005, 2), (-0.004, 2), (1234.56, 1), (0.05, 2), (f64::NAN, 1)];
        let told = cases.map(|(value, decimals)| spaced(&decimal(value, decimals)));
        assert_eq!(told, ["0", "1", "-1", "1.00", "0.00", "1 234.6", "0.05", "–"]);
        assert_eq!([decimal(1.234e21, 2), decimal(-9.999e20, 0)], ["1.23e21", "-1.00e21"]);
        assert_eq!(decimal(f64::MAX, 0), "1.80e308");
    }

    #[test]
    fn exact_figures_have_what_they_need() {
        let told = [0.0, 12.0, 0.25, 1234.5, 0.1234567, -3.0].map(|value| exact(value, ""));
        assert_eq!(told, ["0", "12", "0.25", "1234.5", "0.123457", "-3"]);
        assert_eq!(spaced(&exact(1_750_000_000.123, "s")), "1750000000.123 s");
        assert_eq!(
            [exact(4e-7, ""), exact(1.5e12, ""), exact(1e15, "")],
            ["0.0000004", "1500000000000", "1000000000000000"]
        );
    }

    #[test]
    fn units_follow_size() {
        let told = [
            short(42.34, "ms"),
            short(1812.4, "ms"),
            short(0.25, "ms"),
            short(640.0, "bytes"),
            short(64_000.0, "bytes/s"),
            short(0.426, "ratio"),
            short(3.2, "/s"),
            short(1.2e7, ""),
            short(12.0, "frames"),
            short(0.0, "ms"),
            short(75.0, "s"),
            short(2.5e6, "requests/s"),
            short(0.0, "ratio"),
        ];
        let expected = [
            "42.3 ms",
            "1.81 s",
            "250 µs",
            "640 B",
            "64 kB/s",
            "42.6 %",
            "3.20/s",
            "12 M",
            "12 frames",
            "0 ms",
            "1.25 min",
            "2.50 M requests/s",
            "0 %",
        ];
        assert_eq!(told.map(|text| spaced(&text)), expected);
        assert_eq!(
            [millis(42.34), millis(1812.4), millis(12_300.0)].map(|text| spaced(&text)),
            ["42.3 ms", "1 812 ms", "12.3 s"]
        );
    }

    #[test]
    fn spans_show_their_two_largest_parts() {
        let told = [12.4, 185.0, 8_040.0, 370_800.0, -1.0].map(|seconds| spaced(&duration(seconds)));
        assert_eq!(told, ["12 s", "3 min 05 s", "2 h 14 min", "4 d 7 h", "0 s"]);
    }
}
