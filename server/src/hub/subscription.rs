use tachograph_core::wire::frame::{Filter, Request};

use super::channel::KeyframesWanted;
use crate::error::ApiError;

/// Filters of one subscription, of each kind.
const FILTERS_MAX: usize = 32;
/// The longest window that can be asked for: "all".
pub(crate) const WINDOW_ALL: u32 = u32::MAX;

/// What a viewer asks for: where to begin, what of everything, and whether it wants to enter what it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) request: Request,
    pub(crate) filter: Filter,
    pub(crate) keyframes: KeyframesWanted,
}

impl Subscription {
    /// Reads a query such as `window=15m&metrics=audio_,ws_&label=source:mic&sessions=0`.
    pub(crate) fn parse(query: &str) -> Result<Self, ApiError> {
        let (mut window, mut epoch, mut after, mut since) = (0, None, None, None);
        let (mut filter, mut keyframes) = (Filter::default(), KeyframesWanted::Needed);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "window" => {
                    window = parse_window(&value).ok_or(wrong("`window` is a time such as 90s, 15m or 1h, or all"))?;
                }
                "epoch" => epoch = Some(value.parse().map_err(|_| wrong("`epoch` is the one of a frame"))?),
                "after" => after = Some(parse_seq(&value)?),
                "since" => since = Some(parse_seq(&value)?),
                "sessions" => filter.sessions = parse_flag(&value).ok_or(wrong("`sessions` is 1 or 0"))?,
                "keyframes" => keyframes = parse_keyframes(&value)?,
                "metrics" => filter.prefixes.extend(value.split(',').filter(|part| !part.is_empty()).map(Into::into)),
                "label" => filter
                    .labels
                    .push(parse_label(&value).ok_or(wrong("`label` is a name and a value, such as source:mic"))?),
                _ => {
                    return Err(wrong(
                        "the query takes window, epoch with after or since, sessions, metrics, label and keyframes",
                    ));
                }
            }
        }
        if filter.prefixes.len() > FILTERS_MAX || filter.labels.len() > FILTERS_MAX {
            return Err(wrong("a subscription has at most 32 `metrics` and 32 `label`"));
        }
        // So that the same wishes are the same subscription.
        filter.prefixes.sort();
        filter.prefixes.dedup();
        filter.labels.sort();
        filter.labels.dedup();
        let request = match (epoch, after, since) {
            (None, None, None) => Request::Window { seconds: window },
            (Some(epoch), Some(seq), None) => Request::After { epoch, seq },
            (Some(epoch), None, Some(seq)) => Request::Since { epoch, seq },
            _ => return Err(wrong("`epoch` goes with one of `after` and `since`")),
        };
        Ok(Self { request, filter, keyframes })
    }
}

const fn wrong(message: &'static str) -> ApiError {
    ApiError::InvalidQuery(message)
}

fn parse_seq(text: &str) -> Result<u64, ApiError> {
    text.parse().ok().filter(|seq| *seq < u64::MAX).ok_or(wrong("`after` and `since` are the number of a frame"))
}

fn parse_flag(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn parse_keyframes(text: &str) -> Result<KeyframesWanted, ApiError> {
    let all = parse_flag(text).ok_or(wrong("`keyframes` is true or false"))?;
    Ok(if all { KeyframesWanted::All } else { KeyframesWanted::Needed })
}

/// A label's name and value, such as `source:mic`.
pub(crate) fn parse_label(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once(':')?;
    Some((name.into(), value.into()))
}

/// Seconds of the past: a span, or `all`.
pub(crate) fn parse_window(text: &str) -> Option<u32> {
    if text == "all" { Some(WINDOW_ALL) } else { parse_span(text) }
}

/// Seconds of a text such as `90`, `90s`, `15m` or `1h`.
pub(crate) fn parse_span(text: &str) -> Option<u32> {
    let (digits, unit) = match text.char_indices().last()? {
        (place, 's') => (&text[..place], 1),
        (place, 'm') => (&text[..place], 60),
        (place, 'h') => (&text[..place], 3_600),
        _ => (text, 1),
    };
    digits.parse::<u32>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_understood() {
        let parsed = Subscription::parse("window=15m&metrics=ws_,audio_&metrics=ws_&label=route:%2Fusers&sessions=0");
        let filter = Filter {
            sessions: false,
            prefixes: vec!["audio_".into(), "ws_".into()],
            labels: vec![("route".into(), "/users".into())],
        };
        let keyframes = KeyframesWanted::Needed;
        assert_eq!(parsed, Ok(Subscription { request: Request::Window { seconds: 900 }, filter, keyframes }));
        let all = Subscription::parse("keyframes=true").map(|parsed| parsed.keyframes);
        assert_eq!(all, Ok(KeyframesWanted::All));
        assert!(Subscription::parse("").is_ok_and(|all| all.filter.is_everything()));
    }

    #[test]
    fn what_a_follower_asks_is_understood() {
        let epoch = tachograph_core::wire::frame::Epoch::from_bytes([7; 16]);
        for request in
            [Request::Window { seconds: 9 }, Request::After { epoch, seq: 4 }, Request::Since { epoch, seq: 4 }]
        {
            assert_eq!(Subscription::parse(&request.to_string()).map(|parsed| parsed.request), Ok(request));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, word) in [
            ("windows=3", "the query takes"),
            ("window=long", "`window`"),
            ("window=99999999h", "`window`"),
            ("after=3", "`epoch` goes with"),
            ("epoch=zz&after=3", "`epoch` is"),
            ("epoch=00000000000000000000000000000000&after=-1", "`after`"),
            ("sessions=maybe", "`sessions`"),
            ("keyframes=some", "`keyframes`"),
            ("label=source", "`label`"),
        ] {
            let Err(ApiError::InvalidQuery(message)) = Subscription::parse(query) else { panic!("{query}") };
            assert!(message.starts_with(word), "{query}: {message}");
        }
    }
}
