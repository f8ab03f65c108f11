use std::path::PathBuf;

use clap::Args;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};

use super::token::{TokenSourceError, tokens};
use crate::access::Token;

const TOKEN: &str = "TACHOGRAPH_TOKEN";

#[derive(Clone, Debug, Args)]
pub(super) struct BearerArgs {
    /// A file whose first line is the token that the server wants; TACHOGRAPH_TOKEN can hold it, too.
    #[arg(long, env = "TACHOGRAPH_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl BearerArgs {
    /// The token to show, if one is given.
    pub(super) fn token(&self) -> Result<Option<Token>, TokenSourceError> {
        Ok(tokens(self.token_file.as_deref(), TOKEN)?.into_iter().next())
    }
}

/// Of a server that wants a token.
pub(super) const WANTED: &str = "it wants a token that it knows: give one by --token-file or TACHOGRAPH_TOKEN";

/// A request for a WebSocket that shows the token.
pub(super) fn request(url: &str, token: Option<&Token>) -> Result<Request, Error> {
    let mut request = url.into_client_request()?;
    if let Some(token) = token {
        let shown = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let mut shown = shown.map_err(|error| Error::HttpFormat(error.into()))?;
        shown.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, shown);
    }
    Ok(request)
}

/// Why a server that is there does not let this client in; None where that is not what happened.
pub(super) fn refusal(error: &Error) -> Option<&'static str> {
    let Error::Http(answer) = error else { return None };
    match answer.status() {
        StatusCode::UNAUTHORIZED => Some(WANTED),
        StatusCode::FORBIDDEN => {
            Some("it does not let this client in: its token is for something else, or its name is not allowed there")
        }
        StatusCode::TOO_MANY_REQUESTS => Some("too many wrong tokens came from this address; try again in a minute"),
        _ => None,
    }
}
