use alloc::string::String;
use alloc::vec::Vec;

/// Digits before the point that a bound has at most without an exponent.
const WHOLE_DIGITS_MAX: usize = 6;
/// Zeros behind the point that it has at most.
const ZEROS_MAX: usize = 3;

pub(super) fn put_whole(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// As few digits as tell it from any other float.
pub(super) fn put_float(number: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(zmij::Buffer::new().format(number).as_bytes());
}

/// Milliseconds as seconds, each digit as it is.
pub(super) fn put_seconds(millis: u64, out: &mut Vec<u8>) {
    put_whole(millis / 1_000, out);
    let part = millis % 1_000;
    out.extend_from_slice(if part < 10 {
        b".00"
    } else if part < 100 {
        b".0"
    } else {
        b"."
    });
    put_whole(part, out);
}

/// A bucket's bound, as scrapers want powers of ten to be written: `0.001`, `1.0`, `100000.0`, `1e+06`.
pub(super) fn bound_text(bound: f64) -> String {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format(bound);
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    if let Some((mantissa, exponent)) = digits.split_once('e') {
        let (direction, exponent) =
            exponent.strip_prefix('-').map_or(("+", exponent.trim_start_matches('+')), |exponent| ("-", exponent));
        let zero = if exponent.len() < 2 { "0" } else { "" };
        return [sign, mantissa, "e", direction, zero, exponent].concat();
    }
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let zeros = part.len() - part.trim_start_matches('0').len();
    if whole.len() > WHOLE_DIGITS_MAX {
        return with_exponent(sign, &[whole, part].concat(), "+", whole.len() - 1);
    }
    if whole == "0" && zeros > ZEROS_MAX && zeros < part.len() {
        return with_exponent(sign, &part[zeros..], "-", zeros + 1);
    }
    [sign, whole, ".", part].concat()
}

/// Of these digits the point is behind the first.
fn with_exponent(sign: &str, digits: &str, direction: &str, exponent: usize) -> String {
    let (first, rest) = digits.split_at(1);
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    let zero = if exponent < 10 { "0" } else { "" };
    [sign, first, point, rest, "e", direction, zero, itoa::Buffer::new().format(exponent)].concat()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{bound_text, put_seconds};

    #[test]
    fn seconds_have_each_digit_of_the_milliseconds() {
        for (millis, text) in [(0, "0.000"), (7, "0.007"), (1_050, "1.050"), (1_767_225_600_123, "1767225600.123")] {
            let mut out = Vec::new();
            put_seconds(millis, &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn powers_of_ten_are_written_as_scrapers_want_them() {
        let bounds = [1e-10, 1.5e-5, 0.0001, 0.25, 1.0, 100_000.0, 1e6, 1_234_567.5, 1e10, 1e16, -2.5, -1e7];
        let expected = [
            "1e-10",
            "1.5e-05",
            "0.0001",
            "0.25",
            "1.0",
            "100000.0",
            "1e+06",
            "1.2345675e+06",
            "1e+10",
            "1e+16",
            "-2.5",
            "-1e+07",
        ];
        assert_eq!(bounds.map(bound_text), expected);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for bound in [f64::MIN_POSITIVE, f64::MAX, 1.0 / 3.0, 5e-324, 123_456_789.123, 2f64.powi(64)] {
            assert_eq!(bound_text(bound).parse(), Ok(bound));
        }
    }
}
