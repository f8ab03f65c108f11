//! What a request says that it accepts.

use axum::http::{HeaderMap, header};

pub(super) const GZIP: &str = "gzip";

/// Whether the Accept-Encoding of a request names the encoding and does not rule it out with a weight of zero.
pub(super) fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|entry| allows(entry, encoding))
}

fn allows(entry: &str, encoding: &str) -> bool {
    let name = entry.split(';').next().unwrap_or_default();
    name.trim().eq_ignore_ascii_case(encoding) && weight_of(entry) > 0
}

/// How much an entry of such a header is liked, in thousandths: all where nothing is said, nothing where it cannot be
/// read.
pub(super) fn weight_of(entry: &str) -> u32 {
    let weight = entry.split(';').find_map(|part| part.trim().strip_prefix("q="));
    weight.map_or(1_000, |text| text.parse::<f32>().map_or(0, |weight| (weight.clamp(0.0, 1.0) * 1_000.0) as u32))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn accepts_in(accepted: &[&'static str], encoding: &str) -> bool {
        let named = |value: &&'static str| (header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        accepts(&accepted.iter().map(named).collect(), encoding)
    }

    #[test]
    fn an_encoding_is_used_only_when_it_is_accepted() {
        assert!(accepts_in(&["gzip, deflate, br"], "br"));
        assert!(accepts_in(&["BR;q=0.5"], "br"));
        assert!(accepts_in(&["deflate", "gzip"], "gzip"));
        assert!(!accepts_in(&["br;q=0, gzip"], "br"));
        assert!(!accepts_in(&[""], "br"));
        assert!(!accepts_in(&[], "br"));
        assert!(!accepts_in(&["brotli"], "br"));
        assert!(!accepts_in(&["br;q=many"], "br"));
    }
}
