//! Who may look and who may feed, by what name, and from where.
//!
//! [`serve`](crate::serve) and [`Server`](crate::Server) hold every request against an [`Access`]. Within an
//! application, that is with [`router`](crate::router), the application decides who may look; there only WebSockets and
//! what changes something are kept from other sites' pages.

mod admission;
mod attempts;
mod client;
mod config;
mod guard;
mod headers;
mod names;
mod origin;
mod page;
mod refusal;
mod sign_in;
mod sign_ins;
mod token;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
#[cfg(feature = "live")]
use tokio::sync::Semaphore;
use tokio::time::Instant;

use attempts::Attempts;
use config::{Grant, Rules};
use sign_ins::SignIns;
use token::Digest;

pub(crate) use admission::Admission;
#[cfg(feature = "live")]
pub(crate) use admission::TurnedAway;
pub(crate) use client::Client;
pub use config::AccessConfig;
pub(crate) use guard::protected;
pub use names::{HostName, NameError, Network, Origin};
pub(crate) use origin::check_nested;
pub(crate) use refusal::Refusal;
pub use token::{Token, TokenError};

/// Clients that are told at once, in the protocol's own words, that they may not feed.
#[cfg(feature = "live")]
const TURNED_AWAY_MAX: usize = 64;

/// Who is let in now, and which browsers are signed in. Clones are the same one; it can be changed while all works.
///
/// ```
/// use tachograph::access::{Access, AccessConfig, Token};
///
/// let access = Access::default();
/// // A reload: sign-ins and streams of tokens that are still given go on, those of others end.
/// access.set(AccessConfig { view_tokens: vec![Token::random()?], ..AccessConfig::default() });
/// # Ok::<(), tachograph::access::TokenError>(())
/// ```
#[derive(Clone)]
pub struct Access(Arc<Shared>);

struct Shared {
    rules: RwLock<Arc<Rules>>,
    sign_ins: Mutex<SignIns>,
    /// By links and forms, which other sites' pages can have a browser open.
    attempts_to_sign_in: Mutex<Attempts>,
    /// By headers, and addresses of WebSockets, which they cannot.
    attempts_to_ask: Mutex<Attempts>,
    #[cfg(feature = "live")]
    turned_away: Arc<Semaphore>,
    began: Instant,
    listens_beyond: AtomicBool,
}

/// How a token is shown. Wrong ones of either way do not count for the other, so that no page that somebody looks at can
/// lock out the programs beside the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// A link or a form.
    SignIn,
    /// A request that asks for something else.
    Asking,
}

impl Access {
    /// One that begins with this.
    pub fn new(config: AccessConfig) -> Self {
        Self(Arc::new(Shared {
            rules: RwLock::new(Arc::new(Rules::new(config, None))),
            sign_ins: Mutex::default(),
            attempts_to_sign_in: Mutex::default(),
            attempts_to_ask: Mutex::default(),
            #[cfg(feature = "live")]
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY_MAX)),
            began: Instant::now(),
            listens_beyond: AtomicBool::new(false),
        }))
    }

    /// Another configuration from now on. Who is signed in or connected by a token that is not given any more, or not
    /// for the same, is so no longer.
    pub fn set(&self, config: AccessConfig) {
        let mut rules = self.0.rules.write();
        let after = Arc::new(Rules::new(config, Some(&rules)));
        let before = std::mem::replace(&mut *rules, Arc::clone(&after));
        drop(rules);
        before.give_way_to(&after);
        self.0.sign_ins.lock().keep(&after.grants);
    }

    /// Where it is served. As long as that is only this machine, it answers to the names of this machine alone.
    pub(crate) fn listens_at(&self, address: SocketAddr) {
        if !address.ip().to_canonical().is_loopback() {
            self.0.listens_beyond.store(true, Ordering::Relaxed);
        }
    }

    /// Whether clients on other machines get nothing at all: there is no token for them.
    pub(crate) fn is_closed_to_others(&self) -> bool {
        self.rules().is_open()
    }

    /// Whether it is the address of a proxy that is trusted.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.rules().trusts(address)
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.0.rules.read())
    }

    fn attempts(&self, by: By) -> &Mutex<Attempts> {
        match by {
            By::SignIn => &self.0.attempts_to_sign_in,
            By::Asking => &self.0.attempts_to_ask,
        }
    }

    /// Since it was made.
    fn now(&self) -> Duration {
        self.0.began.elapsed()
    }

    /// # Errors
    /// The name is not the server's.
    fn check_host(&self, rules: &Rules, client: &Client) -> Result<(), Refusal> {
        let takes_any = !rules.is_open() && rules.hosts.is_empty() && self.0.listens_beyond.load(Ordering::Relaxed);
        let is_own = client.host.as_ref().is_some_and(|host| is_among(host, &rules.hosts, client.is_encrypted));
        if takes_any || is_own { Ok(()) } else { Err(Refusal::Host) }
    }

    /// What a token lets in to. Returns with it how many addresses were let go that had shown wrong ones.
    ///
    /// # Errors
    /// It is none, or too many wrong ones came from this address.
    fn verify<'a>(&self, rules: &'a Rules, token: &str, by: By, from: IpAddr) -> (Result<&'a Grant, Refusal>, u64) {
        let now = self.now();
        let mut attempts = self.attempts(by).lock();
        if let Err(wait) = attempts.check(from, now) {
            return (Err(Refusal::Limited(wait)), 0);
        }
        match rules.grants.find(&Digest::of(token)) {
            Some(grant) => (Ok(grant), 0),
            None => (Err(Refusal::WrongToken), attempts.failed(from, now)),
        }
    }
}

/// Whether a server goes by this name: that of this machine, or one of its own.
fn is_among(host: &HostName, own: &[HostName], is_encrypted: bool) -> bool {
    host.is_loopback() || own.iter().any(|own| own.takes(host, is_encrypted))
}

/// Open to this machine, closed to others.
impl Default for Access {
    fn default() -> Self {
        Self::new(AccessConfig::default())
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("rules", &self.rules()).finish_non_exhaustive()
    }
}
