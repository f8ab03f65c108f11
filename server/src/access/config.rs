use tokio_util::sync::CancellationToken;

use super::token::Digest;
use super::{HostName, Network, Origin, Token};

/// Who is let in, by what names, and whose word is taken for where a request comes from.
///
/// Without any token all is open to clients on the same machine, and nothing to others. With one, each role needs a
/// token of its own; the same token may be given for both. A role without a token is nobody's.
///
/// ```
/// use tachograph::access::{Access, AccessConfig};
///
/// let config = AccessConfig {
///     view_tokens: vec!["a-token-for-those-who-look".parse()?],
///     feed_tokens: vec!["a-token-for-those-who-feed".parse()?],
///     allowed_hosts: vec!["tacho.example.org".parse()?],
///     trusted_proxies: vec!["10.0.0.7".parse()?],
///     ..AccessConfig::default()
/// };
/// let access = Access::new(config);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AccessConfig {
    /// Who shows one of them may look: the page, the streams, the past, all metrics.
    pub view_tokens: Vec<Token>,
    /// Who shows one of them may feed sessions, and change what can be changed while all works.
    pub feed_tokens: Vec<Token>,
    /// Names that the server answers to, beside those of the machine itself. With one, it answers to no other; without
    /// one to any, if it listens beyond this machine and has tokens.
    pub allowed_hosts: Vec<HostName>,
    /// Other origins whose pages may send requests. They need a token like everybody.
    pub allowed_origins: Vec<Origin>,
    /// From whom `X-Forwarded-For`, `-Proto` and `-Host`, and `Forwarded`, are believed. Such a proxy has to set or to
    /// remove each of them.
    pub trusted_proxies: Vec<Network>,
}

/// A configuration in force. Of a token it has no text.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) grants: Grants,
    pub(super) hosts: Vec<HostName>,
    pub(super) origins: Vec<Origin>,
    pub(super) proxies: Vec<Network>,
    /// Cancelled when what was open needs a token.
    pub(super) open: CancellationToken,
}

/// What can be done here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    View,
    Feed,
}

/// What a token lets in to.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) token: Digest,
    views: bool,
    feeds: bool,
    /// Cancelled when the token is taken back.
    pub(super) revoked: CancellationToken,
}

#[derive(Debug)]
pub(super) struct Grants(Vec<Grant>);

impl Rules {
    /// What goes on after `before` keeps its connections.
    pub(super) fn new(config: AccessConfig, before: Option<&Self>) -> Self {
        let grants = Grants::new(&config, before.map(|before| &before.grants));
        let open = before.filter(|before| before.is_open() && grants.0.is_empty()).map(|before| before.open.clone());
        Self {
            grants,
            hosts: config.allowed_hosts,
            origins: config.allowed_origins,
            proxies: config.trusted_proxies,
            open: open.unwrap_or_default(),
        }
    }

    /// Whether no token is needed on this machine.
    pub(super) fn is_open(&self) -> bool {
        self.grants.0.is_empty()
    }

    /// Ends what `after` does not let in any more.
    pub(super) fn give_way_to(&self, after: &Self) {
        let goes_on = |grant: &Grant| after.grants.find(&grant.token).is_some_and(|found| found.admits_as(grant));
        self.grants.0.iter().filter(|grant| !goes_on(grant)).for_each(|grant| grant.revoked.cancel());
        if self.is_open() && !after.is_open() {
            self.open.cancel();
        }
    }

    pub(super) fn trusts(&self, address: std::net::IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(address))
    }
}

impl Grants {
    fn new(config: &AccessConfig, before: Option<&Self>) -> Self {
        let mut grants = Self(Vec::new());
        let viewing = config.view_tokens.iter().map(|token| (token, Role::View));
        let feeding = config.feed_tokens.iter().map(|token| (token, Role::Feed));
        for (token, role) in viewing.chain(feeding) {
            grants.add(token.digest(), role);
        }
        for grant in &mut grants.0 {
            let known = before.and_then(|before| before.find(&grant.token)).filter(|known| known.admits_as(grant));
            if let Some(known) = known {
                grant.revoked = known.revoked.clone();
            }
        }
        grants
    }

    fn add(&mut self, token: Digest, role: Role) {
        let known = self.0.iter().position(|grant| grant.token.is(&token).into());
        let place = known.unwrap_or_else(|| {
            self.0.push(Grant { token, views: false, feeds: false, revoked: CancellationToken::new() });
            self.0.len() - 1
        });
        if let Some(grant) = self.0.get_mut(place) {
            grant.views |= role == Role::View;
            grant.feeds |= role == Role::Feed;
        }
    }

    /// Looks at all of them, whichever it is.
    pub(super) fn find(&self, shown: &Digest) -> Option<&Grant> {
        self.0.iter().fold(None, |found, grant| if grant.token.is(shown).into() { Some(grant) } else { found })
    }
}

impl Grant {
    pub(super) fn admits(&self, role: Role) -> bool {
        match role {
            Role::View => self.views,
            Role::Feed => self.feeds,
        }
    }

    fn admits_as(&self, other: &Self) -> bool {
        (self.views, self.feeds) == (other.views, other.feeds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "a-token-for-everything";
    const LOOK: &str = "a-token-for-looking-at";

    fn config(view: &[&str], feed: &[&str]) -> AccessConfig {
        let tokens = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        AccessConfig { view_tokens: tokens(view), feed_tokens: tokens(feed), ..AccessConfig::default() }
    }

    fn admits(rules: &Rules, token: &str) -> Option<[bool; 2]> {
        let grant = rules.grants.find(&Digest::of(token))?;
        Some([grant.admits(Role::View), grant.admits(Role::Feed)])
    }

    #[test]
    fn a_token_admits_to_what_it_was_given_for() {
        let rules = Rules::new(config(&[LOOK, BOTH], &[BOTH]), None);
        assert_eq!(admits(&rules, LOOK), Some([true, false]));
        assert_eq!(admits(&rules, BOTH), Some([true, true]));
        assert_eq!(admits(&rules, "a-token-that-nobody-has"), None);
        assert!(!rules.is_open() && Rules::new(config(&[], &[]), None).is_open());
    }

    #[test]
    fn what_a_change_leaves_out_is_revoked_and_nothing_else() {
        let before = Rules::new(config(&[LOOK, BOTH], &[BOTH]), None);
        let revoked = |token| before.grants.find(&Digest::of(token)).unwrap().revoked.is_cancelled();
        let same = Rules::new(config(&[BOTH, LOOK], &[BOTH]), Some(&before));
        before.give_way_to(&same);
        assert!(!revoked(LOOK) && !revoked(BOTH));
        let less = Rules::new(config(&[LOOK, BOTH], &[]), Some(&same));
        same.give_way_to(&less);
        assert!(!revoked(LOOK) && revoked(BOTH), "it may feed no more");
        less.give_way_to(&Rules::new(config(&[], &[]), Some(&less)));
        assert!(revoked(LOOK));
        let open = Rules::new(config(&[], &[]), None);
        open.give_way_to(&Rules::new(config(&[LOOK], &[]), Some(&open)));
        assert!(open.open.is_cancelled());
    }
}
