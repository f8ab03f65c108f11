use tachograph_core::wire::frame::Request;

/// What a viewer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) request: Request,
    /// Whether it gets all keyframes there are, each behind its frame.
    pub(super) keyframes: bool,
}

/// Reads a query such as `window=15m`; None where it is not one of those that a rehearsal answers, which are
/// without filters.
pub(super) fn parse(query: &str) -> Option<Query> {
    let (mut window, mut epoch, mut after, mut since, mut keyframes) = (0, None, None, None, false);
    for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        match name {
            "window" => window = seconds(value)?,
            "epoch" => epoch = Some(value.parse().ok()?),
            "after" => after = Some(value.parse().ok()?),
            "since" => since = Some(value.parse().ok()?),
            "keyframes" => keyframes = value.parse().ok()?,
            _ => return None,
        }
    }
    let request = match (epoch, after, since) {
        (None, None, None) => Request::Window { seconds: window },
        (Some(epoch), Some(seq), None) => Request::After { epoch, seq },
        (Some(epoch), None, Some(seq)) => Request::Since { epoch, seq },
        _ => return None,
    };
    Some(Query { request, keyframes })
}

fn seconds(text: &str) -> Option<u32> {
    if text == "all" {
        return Some(u32::MAX);
    }
    let (digits, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(digits) if text.ends_with('m') => (digits, 60),
        Some(digits) if text.ends_with('h') => (digits, 3_600),
        Some(digits) => (digits, 1),
        None => (text, 1),
    };
    digits.parse::<u32>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tachograph_core::wire::frame::Epoch;

    #[test]
    fn what_a_follower_asks_is_understood() {
        let epoch = Epoch::from_bytes([7; 16]);
        for request in
            [Request::Window { seconds: 9 }, Request::After { epoch, seq: 4 }, Request::Since { epoch, seq: 4 }]
        {
            assert_eq!(parse(&request.to_string()), Some(Query { request, keyframes: false }));
        }
        let window = |seconds, keyframes| Some(Query { request: Request::Window { seconds }, keyframes });
        assert_eq!(parse(""), window(0, false));
        assert_eq!(parse("window=15m&keyframes=true"), window(900, true), "as the page asks");
        assert_eq!(parse("after=4"), None);
        assert_eq!(parse("window=9&sessions=0"), None, "filters are not rehearsed");
    }
}
