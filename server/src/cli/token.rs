//! Tokens as the command is given them: in a file or the environment, never as an argument, which every user of the
//! machine can read.

use std::borrow::Cow;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::access::{Token, TokenError};

/// Tokens of one role that can be in force at once, the old and the new of each who has one.
const TOKENS_MAX: usize = 64;
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Why there is no token. It never holds one.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenSourceError {
    #[error("cannot read the tokens in {}: {cause}", shown(path))]
    File { path: PathBuf, cause: std::io::Error },
    #[error("{path}, line {line}: {cause}")]
    Line { path: PathBuf, line: usize, cause: TokenError },
    #[error("{path} is longer than {FILE_BYTES_MAX} bytes; name a file of tokens, one a line")]
    TooLong { path: PathBuf },
    #[error("{path} holds no token; write one a line")]
    Empty { path: PathBuf },
    #[error("{path} holds more than {TOKENS_MAX} tokens")]
    TooMany { path: PathBuf },
    #[error("{name}: {cause}")]
    Environment { name: &'static str, cause: TokenError },
    #[error("{0}")]
    Random(#[from] TokenError),
}

/// Those of a file and of an environment variable; none where neither is there.
pub(super) fn tokens(file: Option<&Path>, variable: &'static str) -> Result<Vec<Token>, TokenSourceError> {
    let mut tokens = file.map(of_file).transpose()?.unwrap_or_default();
    // An empty variable is one that is not set.
    if let Some(text) = std::env::var_os(variable).filter(|text| !text.is_empty()) {
        let parsed = text.to_str().ok_or(TokenError::NotVisible).and_then(|text| text.trim().parse());
        tokens.push(parsed.map_err(|cause| TokenSourceError::Environment { name: variable, cause })?);
    }
    Ok(tokens)
}

/// One a line; empty lines, and those that begin with #, are passed over.
fn of_file(path: &Path) -> Result<Vec<Token>, TokenSourceError> {
    let owned = || path.to_owned();
    let text = read(path).map_err(|cause| TokenSourceError::File { path: owned(), cause })?;
    // Where it was cut off, a part of a token could be one.
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(TokenSourceError::TooLong { path: owned() });
    }
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let parsed =
        lines.map(|(line, text)| text.parse().map_err(|cause| TokenSourceError::Line { path: owned(), line, cause }));
    let tokens = parsed.take(TOKENS_MAX + 1).collect::<Result<Vec<Token>, _>>()?;
    match tokens.len() {
        0 => Err(TokenSourceError::Empty { path: owned() }),
        count if count > TOKENS_MAX => Err(TokenSourceError::TooMany { path: owned() }),
        _ => Ok(tokens),
    }
}

/// The name of a file of secrets as it may be told. What is at no place that there could be is none: somebody gave the
/// secret itself, which can begin with a slash, too.
pub(super) fn shown(path: &Path) -> Cow<'_, str> {
    let above = path.ancestors().skip(1).filter(|above| above.parent().is_some());
    if path.exists() || above.into_iter().any(Path::is_dir) {
        path.to_string_lossy()
    } else {
        "a file that is not there, whose name is not shown, as it may be a secret,".into()
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let file = fs::File::open(path)?;
    if is_readable_by_others(&file.metadata()?) {
        let path = path.display().to_string();
        tracing::warn!(?path, "every user of this machine can read these tokens; chmod 600 keeps them to yourself");
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// Others than its owner and group.
#[cfg(unix)]
pub(super) fn is_readable_by_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;

    metadata.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
pub(super) fn is_readable_by_others(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file of this text gives.
    fn read_of(text: &str) -> Result<Vec<String>, String> {
        let path = std::env::temp_dir().join(format!("tachograph-tokens-{}", uuid::Uuid::new_v4()));
        fs::write(&path, text).unwrap();
        let read = tokens(Some(&path), "TACHOGRAPH_NO_SUCH_TOKEN");
        fs::remove_file(&path).unwrap();
        read.map(|tokens| tokens.iter().map(|token| token.expose().to_owned()).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_holds_a_token_a_line() {
        let read = read_of("# since May\n0123456789abcdef\n\n  fedcba9876543210  \r\n").unwrap();
        assert_eq!(read, ["0123456789abcdef", "fedcba9876543210"]);
        assert!(tokens(None, "TACHOGRAPH_NO_SUCH_TOKEN").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_without_its_text() {
        for (text, said) in [
            ("0123456789abcdef\nhunter2", "line 2: a token must have at least 16 characters"),
            ("0123456789 abcdef", "line 1: a token must be visible ASCII"),
            ("# nothing\n", "holds no token"),
            (&*"0123456789abcdef\n".repeat(65), "more than 64 tokens"),
        ] {
            let error = read_of(text).unwrap_err();
            assert!(error.contains(said) && !error.contains("hunter2") && !error.contains("0123"), "{error}");
        }
        let missing = |path: &str| tokens(Some(Path::new(path)), "TACHOGRAPH_NO_SUCH_TOKEN").unwrap_err().to_string();
        assert!(missing("/usr/no/such/file").contains("/usr/no/such/file"));
        assert!(!missing("/q8Zx0Yv3mJ5pT7c=").contains("q8Zx"));
    }

    #[test]
    fn a_file_that_is_too_long_gives_no_part_of_a_token() {
        let filled = |bytes: u64| format!("{}\n0123456789abcdefghij", "#".repeat(bytes as usize - 21));
        assert_eq!(read_of(&filled(FILE_BYTES_MAX)).unwrap(), ["0123456789abcdefghij"]);
        let error = read_of(&filled(FILE_BYTES_MAX + 2)).unwrap_err();
        assert!(error.contains("longer than 262144 bytes") && !error.contains("0123"), "{error}");
    }

    #[test]
    fn a_token_that_was_given_for_its_files_name_is_not_told() {
        for token in ["hunter22hunter22", "hunter22/hunter22+=="] {
            let error = tokens(Some(Path::new(token)), "TACHOGRAPH_NO_SUCH_TOKEN").unwrap_err().to_string();
            assert!(error.contains("cannot read") && !error.contains("hunter22"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_noticed() {
        use std::os::unix::fs::PermissionsExt;

        let path = std::env::temp_dir().join(format!("tachograph-tokens-{}", uuid::Uuid::new_v4()));
        fs::write(&path, "0123456789abcdef").unwrap();
        let noticed = [0o644, 0o640, 0o600].map(|mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            is_readable_by_others(&fs::metadata(&path).unwrap())
        });
        fs::remove_file(&path).unwrap();
        assert_eq!(noticed, [true, false, false]);
    }
}
