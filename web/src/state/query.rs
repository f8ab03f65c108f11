//! The text behind the question mark of an address, and percent-encoding.

/// Names and values, decoded, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `name=value&name=value`; what is no such pair is passed over.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    /// The first value of a name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// All values of a name.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(held, _)| held == name).map(|(_, value)| value.as_str())
    }
}

/// Writes what [`Query::parse`] reads.
#[derive(Clone, Debug, Default)]
pub struct QueryWriter(String);

impl QueryWriter {
    /// Adds a pair.
    pub fn put(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        encode(name, &mut self.0);
        self.0.push('=');
        encode(value, &mut self.0);
    }

    /// The text.
    pub fn finish(self) -> String {
        self.0
    }
}

fn encode(text: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b':' | b'*' | b',') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// What is no code stays as it is, and so does all of a text that would not be UTF-8.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| Some(hex(digits[0])? << 4 | hex(digits[1])?));
        let (byte, used) = match (first, code) {
            (b'%', Some(code)) => (code, 3),
            (b'+', _) => (b' ', 1),
            _ => (*first, 1),
        };
        bytes.push(byte);
        rest = &rest[used..];
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.into())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = QueryWriter::default();
        out.put("a b", "x&y=z%20+é\u{202f}");
        out.put("c", "");
        let query = Query::parse(&out.finish());
        assert_eq!((query.value("a b"), query.value("c")), (Some("x&y=z%20+é\u{202f}"), Some("")));
    }

    #[test]
    fn broken_text_is_read_as_far_as_it_goes() {
        let query = Query::parse("a=%&b=%zz&noise&c=%ff&a=2");
        assert_eq!(query.values("a").collect::<Vec<_>>(), ["%", "2"]);
        assert_eq!((query.value("b"), query.value("c"), query.value("noise")), (Some("%zz"), Some("%ff"), None));
    }
}
