//! What others wrote, on its way to a terminal: it must neither move the cursor nor look like something else.

use std::fmt::{self, Display, Write as _};
use std::io;

use serde_json::ser::Formatter;

/// The text in one line. What a terminal would obey, or show in another order, is escaped.
pub(super) fn text(text: &str) -> impl Display {
    Shown { text, keeps_lines: false }
}

/// The same for a text of several lines.
pub(super) fn lines(text: &str) -> impl Display {
    Shown { text, keeps_lines: true }
}

struct Shown<'a> {
    text: &'a str,
    keeps_lines: bool,
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.text.chars() {
            if is_plain(letter) || (letter == '\n' && self.keeps_lines) {
                f.write_char(letter)?;
            } else {
                write!(f, "{}", letter.escape_debug())?;
            }
        }
        Ok(())
    }
}

/// What `{:?}` escapes, but for quotes, backslashes and what only changes the letter before.
fn is_plain(letter: char) -> bool {
    matches!(letter, '\'' | '"' | '\\') || !letter.is_control() && letter.escape_debug().len() == 1
}

/// Writes JSON in which all that is no ASCII, and what of it no terminal should see, stands as escapes.
pub(super) struct Escaped;

impl Formatter for Escaped {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut units = [0; 2];
        for letter in fragment.chars() {
            if is_plain(letter) {
                write!(writer, "{letter}")?;
            } else {
                letter.encode_utf16(&mut units).iter().try_for_each(|unit| write!(writer, "\\u{unit:04x}"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    const HOSTILE: &str = "a\u{1b}[2J\u{9b}31m\u{7f}\r\nb\u{202e}c\u{7}é\"\\";

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        assert_eq!(text(HOSTILE).to_string(), "a\\u{1b}[2J\\u{9b}31m\\u{7f}\\r\\nb\\u{202e}c\\u{7}é\"\\");
        assert_eq!(lines("a\u{1b}\nb").to_string(), "a\\u{1b}\nb");
    }

    #[test]
    fn json_says_the_same_without_what_a_terminal_obeys() {
        let mut written = Vec::new();
        HOSTILE.serialize(&mut serde_json::Serializer::with_formatter(&mut written, Escaped)).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert!(written.chars().all(|letter| !letter.is_control() && letter != '\u{202e}'), "{written}");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), HOSTILE);
    }
}
