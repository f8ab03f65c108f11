use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::error::{ConfigError, Lines};

/// A configuration is a page or two of text.
const BYTES_MAX: u64 = 1_000_000;

/// The text of a file.
///
/// # Errors
/// There is none that is a text, or it is too long.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |error: &io::Error| ConfigError::new(None, &told(error));
    let mut bytes = Vec::new();
    open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > BYTES_MAX {
        let what = format!("is longer than {BYTES_MAX} bytes; a configuration is a short text");
        return Err(ConfigError::new(None, &what));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good =
            String::from_utf8_lossy(error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default());
        let place = Lines::of(&good).place(good.len());
        ConfigError::new(Some(place), "is not UTF-8; save the file as UTF-8")
    })
}

/// Opens what can be read to its end: no folder, no pipe that nobody writes to.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file"));
    }
    File::open(path)
}

/// What to do about it.
pub(super) fn told(error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "look where it is",
        io::ErrorKind::PermissionDenied => "let the user that runs the server read it",
        _ => "name a file",
    };
    format!("cannot be read: {error}; {advice}")
}
