//! Numbers as text, with their units. Thousands are set apart by a narrow space.

const THIN_SPACE: char = '\u{202f}';

/// A whole number: `12 345`.
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

/// A figure with at most so many decimals as its size makes worth reading: `2`, `0.42`, `31.5`, `812`.
fn plain(value: f64) -> String {
    let size = value.abs();
    match () {
        () if (0.0..1e15).contains(&value) && (size >= 100.0 || value.fract() == 0.0) => count(value.round() as u64),
        () if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        () if size >= 10.0 => format!("{value:.1}"),
        () => format!("{value:.2}"),
    }
}

/// A share of one: `42 %`.
pub(super) fn percent(ratio: f64) -> String {
    format!("{:.0}{THIN_SPACE}%", ratio * 100.0)
}

/// Seconds with the wire's two decimals: `0.84 s`.
pub(super) fn seconds(value: f64) -> String {
    format!("{value:.2}{THIN_SPACE}s")
}

/// Milliseconds: `42.3 ms`, `812 ms`, from 10 s on `12.3 s`.
pub fn millis(value: f64) -> String {
    match value {
        _ if value < 100.0 => format!("{value:.1}{THIN_SPACE}ms"),
        _ if value < 10_000.0 => format!("{}{THIN_SPACE}ms", count(value.round() as u64)),
        _ => format!("{:.1}{THIN_SPACE}s", value / 1000.0),
    }
}

/// Bytes in decimal units: `640 B`, `64.2 kB`, `1.92 MB`.
pub(super) fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut size = value;
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let number = if unit == 0 { format!("{size:.0}") } else { plain(size) };
    format!("{number}{THIN_SPACE}{}", UNITS[unit])
}

/// A span of time, its two largest parts: `12 s`, `3 min 05 s`, `2 h 14 min`, `4 d 7 h`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    let s = THIN_SPACE;
    match () {
        () if minutes == 0 => format!("{whole}{s}s"),
        () if hours == 0 => format!("{minutes}{s}min {:02}{s}s", whole % 60),
        () if days == 0 => format!("{hours}{s}h {:02}{s}min", minutes % 60),
        () => format!("{days}{s}d {}{s}h", hours % 24),
    }
}

/// A figure of a family in its unit; one that has no short form stands in the family's head.
pub fn measure(value: f64, unit: &str) -> String {
    match unit {
        "ms" => millis(value),
        "s" => seconds(value),
        "bytes" => bytes(value),
        _ => plain(value),
    }
}

/// A counter's growth a second; a dash where two frames do not tell it.
pub(super) fn rate(per_second: Option<f64>, unit: &str) -> String {
    match (per_second, unit) {
        (None, _) => "–".into(),
        (Some(growth), "bytes") => format!("{}/s", bytes(growth)),
        (Some(growth), _) => format!("{}/s", plain(growth)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spaced(text: &str) -> String {
        text.replace(THIN_SPACE, " ")
    }

    #[test]
    fn whole_numbers_are_grouped_by_three() {
        assert_eq!(count(7), "7");
        assert_eq!(count(999), "999");
        assert_eq!(spaced(&count(1_000)), "1 000");
        assert_eq!(spaced(&count(12_345_678)), "12 345 678");
    }

    #[test]
    fn units_follow_size() {
        assert_eq!(spaced(&millis(42.34)), "42.3 ms");
        assert_eq!(spaced(&millis(1812.4)), "1 812 ms");
        assert_eq!(spaced(&millis(12_300.0)), "12.3 s");
        assert_eq!(spaced(&bytes(640.0)), "640 B");
        assert_eq!(spaced(&bytes(64_000.0)), "64 kB");
        assert_eq!(spaced(&bytes(999_700.0)), "1.00 MB");
        assert_eq!(spaced(&percent(0.426)), "43 %");
    }

    #[test]
    fn spans_show_their_two_largest_parts() {
        assert_eq!(spaced(&duration(12.4)), "12 s");
        assert_eq!(spaced(&duration(185.0)), "3 min 05 s");
        assert_eq!(spaced(&duration(8_040.0)), "2 h 14 min");
        assert_eq!(spaced(&duration(370_800.0)), "4 d 7 h");
        assert_eq!(spaced(&duration(-1.0)), "0 s");
    }

    #[test]
    fn what_is_unknown_is_a_dash() {
        assert_eq!(rate(None, "bytes"), "–");
        assert_eq!(rate(Some(3.2), ""), "3.20/s");
        assert_eq!(spaced(&rate(Some(32_000.0), "bytes")), "32 kB/s");
    }

    #[test]
    fn measures_carry_a_short_unit() {
        assert_eq!(measure(12.0, "frames"), "12");
        assert_eq!(measure(0.25, ""), "0.25");
        assert_eq!(measure(-250.0, ""), "-250");
        assert_eq!(measure(0.0, ""), "0");
        assert_eq!(spaced(&measure(0.5, "s")), "0.50 s");
    }
}
