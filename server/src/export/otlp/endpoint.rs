use std::str::FromStr;

use axum::http::Uri;
use axum::http::uri::Scheme;

use super::OtlpError;

const PATH: &str = "/v1/metrics";

/// Where requests go: an address over HTTP, encrypted or not; OTLP's own path where it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint(pub(super) Uri);

impl FromStr for Endpoint {
    type Err = OtlpError;

    fn from_str(text: &str) -> Result<Self, OtlpError> {
        let uri: Uri = text.trim().parse().map_err(|_| OtlpError::InvalidEndpoint("is not an address"))?;
        let scheme = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS && !cfg!(feature = "tls") => return Err(OtlpError::Https),
            Some(scheme) if [Scheme::HTTP, Scheme::HTTPS].contains(scheme) => scheme.clone(),
            _ => return Err(OtlpError::InvalidEndpoint("must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or(OtlpError::InvalidEndpoint("names no host"))?;
        if authority.host().is_empty() {
            return Err(OtlpError::InvalidEndpoint("names no host"));
        }
        if authority.as_str().contains('@') {
            return Err(OtlpError::InvalidEndpoint("holds a password: give it as a header"));
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Ok(Self(uri));
        }
        let whole = Uri::builder().scheme(scheme).authority(authority.clone()).path_and_query(PATH).build();
        whole.map(Self).map_err(|_| OtlpError::InvalidEndpoint("is not an address"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_the_metrics() {
        for (given, leads) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/metrics"),
            (" http://collector:4318/ ", "http://collector:4318/v1/metrics"),
            ("http://[::1]:4318", "http://[::1]:4318/v1/metrics"),
            ("http://collector/api/v1/otlp/v1/metrics", "http://collector/api/v1/otlp/v1/metrics"),
            ("http://collector/?tenant=1", "http://collector/?tenant=1"),
        ] {
            assert_eq!(given.parse::<Endpoint>().unwrap().0, leads, "{given}");
        }
    }

    #[test]
    fn https_is_spoken_where_there_is_tls() {
        let parsed = "https://collector:4318".parse::<Endpoint>();
        if cfg!(feature = "tls") {
            assert_eq!(parsed.unwrap().0, "https://collector:4318/v1/metrics");
        } else {
            assert_eq!(parsed, Err(OtlpError::Https));
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        for given in ["", "collector:4318", "/v1/metrics", "grpc://collector:4317", "http://", "http://a b", "nonsense"]
        {
            assert!(matches!(given.parse::<Endpoint>(), Err(OtlpError::InvalidEndpoint(_))), "{given}");
        }
        let error = "http://user:secret@collector".parse::<Endpoint>().unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}
