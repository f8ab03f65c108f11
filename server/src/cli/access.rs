use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use clap::Args;

use super::config::Complaint;
use super::token::{TokenSourceError, tokens};
use crate::access::{Access, AccessConfig, HostName, Network, Origin, Token};

const VIEW_TOKEN: &str = "TACHOGRAPH_VIEW_TOKEN";
const FEED_TOKEN: &str = "TACHOGRAPH_FEED_TOKEN";

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Access")]
pub(super) struct AccessArgs {
    /// A file with the tokens of those who may look, one a line; TACHOGRAPH_VIEW_TOKEN can hold one, too. Without any
    /// token the server is open on this machine, and beyond it one is made and printed.
    #[arg(long, env = "TACHOGRAPH_VIEW_TOKEN_FILE", value_name = "FILE")]
    view_token_file: Option<PathBuf>,

    /// A file with the tokens of those who may feed sessions, one a line; TACHOGRAPH_FEED_TOKEN can hold one, too. It
    /// can be the same file.
    #[arg(long, env = "TACHOGRAPH_FEED_TOKEN_FILE", value_name = "FILE")]
    feed_token_file: Option<PathBuf>,

    /// A name that the server goes by, such as tacho.example.org, beside those of this machine; with one, it answers to
    /// no other. Several, with commas between them or each with its own flag.
    #[arg(long, env = "TACHOGRAPH_ALLOWED_HOST", value_name = "HOST", value_delimiter = ',')]
    allowed_host: Vec<HostName>,

    /// Another origin whose pages may send requests, such as https://10.0.0.7. Several, with commas between them
    /// or each with its own flag.
    #[arg(long, env = "TACHOGRAPH_ALLOWED_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    allowed_origin: Vec<Origin>,

    /// A proxy, or network of proxies, whose word is taken for where a request comes from: X-Forwarded-For, -Proto and
    /// -Host, and Forwarded. It has to set or to remove each of them. Never a network that clients are in: each could say
    /// that it is another one. Several, with commas between them or each with its own flag.
    #[arg(long, env = "TACHOGRAPH_TRUSTED_PROXY", value_name = "ADDRESS|CIDR", value_delimiter = ',')]
    trusted_proxy: Vec<Network>,
}

/// Who is let in, as the command line says.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) access: Access,
    /// Made because none was given; a reload goes on with it.
    pub(super) made: Option<Token>,
    /// One for feeding, for sessions of the command's own.
    pub(super) feed: Option<Token>,
}

impl AccessArgs {
    /// What is given now; a file can say something else by and by.
    pub(super) fn config(&self) -> Result<AccessConfig, TokenSourceError> {
        let of = |file: &Option<PathBuf>, variable| tokens(file.as_deref().map(Path::new), variable);
        Ok(AccessConfig {
            view_tokens: of(&self.view_token_file, VIEW_TOKEN)?,
            feed_tokens: of(&self.feed_token_file, FEED_TOKEN)?,
            allowed_hosts: self.allowed_host.clone(),
            allowed_origins: self.allowed_origin.clone(),
            trusted_proxies: self.trusted_proxy.clone(),
        })
    }

    /// What is wrong in files that can be read: of others that is told anyhow.
    pub(super) fn complaints(&self) -> Vec<Complaint> {
        let roles = [
            ("view-token-file", &self.view_token_file, VIEW_TOKEN),
            ("feed-token-file", &self.feed_token_file, FEED_TOKEN),
        ];
        let told = roles.into_iter().filter_map(|(setting, file, variable)| match tokens(file.as_deref(), variable) {
            Ok(_) | Err(TokenSourceError::File { .. }) => None,
            Err(error) => Some(Complaint::new(setting, error.to_string())),
        });
        told.collect()
    }

    /// What is given by now, for `gate`. Where that is no token, the one that was made stays.
    ///
    /// # Errors
    /// It cannot be read; or it would open what tokens guard, which a line that is lost in a file must not do.
    pub(super) fn renewed(&self, gate: &Gate) -> Result<AccessConfig, String> {
        let config = self.config().map_err(|error| error.to_string())?;
        let config = if has_none(&config) { with(config, gate.made.as_ref()) } else { config };
        if has_none(&config) && !gate.access.is_closed_to_others() {
            return Err("to serve without tokens takes a restart".into());
        }
        Ok(config)
    }

    /// Beyond this machine nobody is let in without a token: where none is given, one is made, for both roles.
    pub(super) fn gate(&self, listen: IpAddr) -> Result<Gate, TokenSourceError> {
        let config = self.config()?;
        let is_to_be_made = has_none(&config) && !listen.to_canonical().is_loopback();
        let made = is_to_be_made.then(Token::random).transpose()?;
        let config = with(config, made.as_ref());
        warn_of_a_role_without_token(&config);
        Ok(Gate { feed: config.feed_tokens.first().cloned(), access: Access::new(config), made })
    }
}

pub(super) fn warn_of_a_role_without_token(config: &AccessConfig) {
    if config.view_tokens.is_empty() != config.feed_tokens.is_empty() {
        let role = if config.view_tokens.is_empty() { "look" } else { "feed" };
        tracing::warn!("nobody may {role}: there is a token for the other role only");
    }
}

fn has_none(config: &AccessConfig) -> bool {
    config.view_tokens.is_empty() && config.feed_tokens.is_empty()
}

/// One token more, for both roles, if there is one.
fn with(mut config: AccessConfig, token: Option<&Token>) -> AccessConfig {
    config.view_tokens.extend(token.cloned());
    config.feed_tokens.extend(token.cloned());
    config
}

/// Where a browser signs in with a token. `address` is where the server listens; where that is everywhere, the address by
/// which this machine reaches others stands for it.
pub(super) fn sign_in_link(scheme: &str, mut address: SocketAddr, token: &Token) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(own_address(address.ip()));
    }
    format!("{scheme}://{address}/sign-in?token={}", token.expose())
}

/// Nothing is sent for it.
fn own_address(unspecified: IpAddr) -> IpAddr {
    let (loopback, elsewhere): (IpAddr, IpAddr) = match unspecified {
        IpAddr::V4(_) => (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        IpAddr::V6(_) => (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
    };
    let found = UdpSocket::bind((unspecified, 0)).and_then(|socket| {
        socket.connect((elsewhere, 9))?;
        socket.local_addr()
    });
    found.map_or(loopback, |found| found.ip())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        access: AccessArgs,
    }

    fn parsed(args: &[&str]) -> Result<AccessArgs, String> {
        let args = ["tachograph"].iter().chain(args);
        Only::try_parse_from(args).map(|only| only.access).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_is_made_beyond_this_machine_where_none_is_given() {
        let gate = |listen: &str| parsed(&[]).unwrap().gate(listen.parse().unwrap()).unwrap();
        assert!(gate("127.0.0.1").made.is_none() && gate("::1").made.is_none());
        let made = gate("0.0.0.0").made.unwrap();
        assert_ne!(made.expose(), gate("192.0.2.1").made.unwrap().expose());
        assert!(made.expose().len() >= 43);
    }

    #[test]
    fn no_token_is_needed_any_more_only_after_a_restart() {
        let (none, any) = (parsed(&[]).unwrap(), "0.0.0.0".parse().unwrap());
        let made = none.gate(any).unwrap();
        assert_eq!(none.renewed(&made).unwrap().view_tokens.len(), 1, "the one that was made stays");
        let given: Token = "0123456789abcdef".parse().unwrap();
        let config = AccessConfig { view_tokens: vec![given], ..AccessConfig::default() };
        let guarded = Gate { access: Access::new(config), made: None, feed: None };
        assert!(none.renewed(&guarded).unwrap_err().contains("takes a restart"));
        let open = none.gate(Ipv4Addr::LOCALHOST.into()).unwrap();
        assert!(none.renewed(&open).unwrap().view_tokens.is_empty());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (args, said) in [
            (["--allowed-host", "https://h"], "a host such as"),
            (["--allowed-origin", "h"], "an origin such as"),
            (["--trusted-proxy", "10.0.0.0/40"], "an address or a network"),
        ] {
            let error = parsed(&args).unwrap_err();
            assert!(error.contains(said), "{args:?}: {error}");
        }
        let missing = parsed(&["--view-token-file", "/usr/no/such/file"]).unwrap().config().unwrap_err();
        assert!(missing.to_string().contains("/usr/no/such/file"));
    }

    #[test]
    fn a_link_can_be_opened() {
        let token: Token = "0123456789abcdef".parse().unwrap();
        let link = |address: &str| sign_in_link("http", address.parse().unwrap(), &token);
        assert_eq!(link("192.0.2.7:7117"), "http://192.0.2.7:7117/sign-in?token=0123456789abcdef");
        assert!(!link("0.0.0.0:7117").contains("0.0.0.0") && !link("[::]:7117").contains("[::]"));
    }
}
