use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Fewer can be guessed.
const CHARS_MIN: usize = 16;
/// A header has room for it.
const CHARS_MAX: usize = 1_024;
const RANDOM_BYTES: usize = 32;

/// What a client shows to be let in: 16 to 1,024 visible ASCII characters. Its text is never part of what is logged or
/// printed by `{:?}`.
///
/// ```
/// use tachograph::access::Token;
///
/// let token: Token = "correct-horse-battery-staple".parse()?;
/// assert_eq!(format!("{token:?}"), "Token(…)");
/// assert!("too short".parse::<Token>().is_err());
/// # Ok::<(), tachograph::access::TokenError>(())
/// ```
#[derive(Clone)]
pub struct Token(Arc<str>);

/// Why a text is no token. It never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It can be guessed.
    #[error("a token must have at least {CHARS_MIN} characters; `openssl rand -hex 32` makes a good one")]
    TooShort,
    /// No header has room for it.
    #[error("a token may have at most {CHARS_MAX} characters")]
    TooLong,
    /// It cannot be sent in a header.
    #[error("a token must be visible ASCII characters without spaces")]
    NotVisible,
    /// The system gave no randomness.
    #[error("the system has no randomness to make a token of; give one")]
    NoRandomness,
}

impl Token {
    /// One of 256 random bits of the system's.
    ///
    /// # Errors
    /// The system has none.
    pub fn random() -> Result<Self, TokenError> {
        random_text().map(|text| Self(text.into())).ok_or(TokenError::NoRandomness)
    }

    /// Its text, to be shown to whom it is for.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        match text.len() {
            // Characters that are not ASCII are longer than they count.
            _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(TokenError::NotVisible),
            length if length < CHARS_MIN => Err(TokenError::TooShort),
            length if length > CHARS_MAX => Err(TokenError::TooLong),
            _ => Ok(Self(text.into())),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// 256 bits that nobody can guess, as text that a header, a cookie and an address can have.
pub(super) fn random_text() -> Option<String> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a secret. All are of one length, so that comparing them tells nothing of the secret's.
#[derive(Clone, Copy)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// In a time that does not depend on where they differ.
    pub(super) fn is(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_guessed_or_not_be_sent_is_no_token() {
        let parsed = |text: &str| text.parse::<Token>().map(|token| token.expose().to_owned());
        assert_eq!(parsed("0123456789abcdef").as_deref(), Ok("0123456789abcdef"));
        assert_eq!(parsed("0123456789abcde"), Err(TokenError::TooShort));
        assert_eq!(parsed(&"x".repeat(1_025)), Err(TokenError::TooLong));
        for text in ["0123456789 abcdef", "0123456789abcde\u{1b}", "0123456789abcdé"] {
            let error = parsed(text).unwrap_err();
            assert_eq!(error, TokenError::NotVisible);
            assert!(!error.to_string().contains("0123"));
        }
    }

    #[test]
    fn random_ones_are_tokens_and_differ() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert!(one.expose().parse::<Token>().is_ok() && one.expose().len() == 43);
        assert_ne!(one.expose(), other.expose());
        assert!(bool::from(one.digest().is(&one.digest())) && !bool::from(one.digest().is(&other.digest())));
    }
}
