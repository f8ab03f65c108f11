use std::collections::VecDeque;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::config::{Grant, Grants};
use super::token::{Digest, random_text};

/// Browsers that are signed in at once. The oldest one of the token that has the most has to sign in again, so that nobody
/// can sign out all others.
const SIGN_INS_MAX: usize = 1_024;
/// How long a sign-in lasts.
pub(super) const LASTS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The browsers that are signed in, in the order in which they came. What their cookies say is not kept, only its
/// digest.
#[derive(Debug, Default)]
pub(super) struct SignIns(VecDeque<SignIn>);

#[derive(Debug)]
pub(super) struct SignIn {
    all: Digest,
    page: Digest,
    token: Digest,
    pub(super) ends_at: Duration,
    /// Cancelled when it ends before its time, or its token does.
    pub(super) ended: CancellationToken,
}

/// What a browser is given: two cookies, so that a link from elsewhere leads to the page and to nothing else. A cookie
/// that is sent along when another site's link is followed opens the page's own files, which hold no figures; the page
/// then asks for those itself, with the cookie that other sites cannot have sent.
pub(super) struct Cookies {
    pub(super) all: String,
    pub(super) page: String,
}

/// What a cookie opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    All,
    Page,
}

impl SignIns {
    /// Signs in a browser that showed the token. Returns its cookies, and how many others there was no room for; None
    /// where the system has no randomness.
    pub(super) fn begin(&mut self, grant: &Grant, now: Duration) -> Option<(Cookies, u64)> {
        let cookies = Cookies { all: random_text()?, page: random_text()? };
        self.retain(|held| held.ends_at > now && !held.ended.is_cancelled());
        let let_go = self.make_room(&grant.token);
        self.0.push_back(SignIn {
            all: Digest::of(&cookies.all),
            page: Digest::of(&cookies.page),
            token: grant.token,
            ends_at: now + LASTS,
            ended: grant.revoked.child_token(),
        });
        Some((cookies, let_go))
    }

    /// Returns how many were let go for another one of this token.
    fn make_room(&mut self, token: &Digest) -> u64 {
        let mut let_go = 0;
        while self.0.len() >= SIGN_INS_MAX {
            let oldest = self.oldest_of_most(token);
            if let Some(gone) = oldest.and_then(|oldest| self.0.remove(oldest)) {
                gone.ended.cancel();
                let_go += 1;
            }
        }
        let_go
    }

    /// Where the oldest one is of the token that has the most; of two that have as many, of `own`.
    fn oldest_of_most(&self, own: &Digest) -> Option<usize> {
        // Where the first of each token is, with how many there are: tokens are few.
        let mut tokens: Vec<(usize, &Digest, usize)> = Vec::new();
        for (at, held) in self.0.iter().enumerate() {
            match tokens.iter_mut().find(|(_, token, _)| held.token.is(token).into()) {
                Some((_, _, count)) => *count += 1,
                None => tokens.push((at, &held.token, 1)),
            }
        }
        let most = tokens.into_iter().max_by_key(|(_, token, count)| (*count, bool::from(own.is(token))));
        most.map(|(at, ..)| at)
    }

    /// What is open by one that is not kept ends with it.
    fn retain(&mut self, mut is_kept: impl FnMut(&SignIn) -> bool) {
        self.0.retain(|held| {
            let is_kept = is_kept(held);
            if !is_kept {
                held.ended.cancel();
            }
            is_kept
        });
    }

    /// The sign-in that a cookie is of, if its token still lets in, with that token and what the cookie opens.
    pub(super) fn find<'a>(
        &self,
        cookie: &str,
        grants: &'a Grants,
        now: Duration,
    ) -> Option<(&SignIn, &'a Grant, Reach)> {
        let shown = Digest::of(cookie);
        let in_force = self.0.iter().filter(|held| held.ends_at > now && !held.ended.is_cancelled());
        let (held, reach) = in_force
            .filter_map(|held| match () {
                () if held.all.is(&shown).into() => Some((held, Reach::All)),
                () if held.page.is(&shown).into() => Some((held, Reach::Page)),
                () => None,
            })
            .next()?;
        Some((held, grants.find(&held.token)?, reach))
    }

    /// Signs a browser out: its open streams end, too.
    pub(super) fn end(&mut self, cookie: &str) {
        let shown = Digest::of(cookie);
        self.retain(|held| !bool::from(held.all.is(&shown) | held.page.is(&shown)));
    }

    /// Those of tokens that are not given any more are let go.
    pub(super) fn keep(&mut self, grants: &Grants) {
        self.retain(|held| grants.find(&held.token).is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::AccessConfig;
    use crate::access::config::Rules;

    fn rules(tokens: &[&str]) -> Rules {
        let view_tokens = tokens.iter().map(|token| token.parse().unwrap()).collect();
        Rules::new(AccessConfig { view_tokens, ..AccessConfig::default() }, None)
    }

    fn grant<'a>(rules: &'a Rules, token: &str) -> &'a Grant {
        rules.grants.find(&Digest::of(token)).unwrap()
    }

    const ONE: &str = "the-first-of-two-tokens";
    const OTHER: &str = "the-other-of-two-tokens";

    #[test]
    fn a_cookie_opens_what_it_is_for_until_its_end() {
        let (rules, mut sign_ins) = (rules(&[ONE]), SignIns::default());
        let (cookies, _) = sign_ins.begin(grant(&rules, ONE), Duration::ZERO).unwrap();
        let reach = |sign_ins: &SignIns, cookie, now| sign_ins.find(cookie, &rules.grants, now).map(|found| found.2);
        assert_eq!(reach(&sign_ins, &cookies.all, Duration::ZERO), Some(Reach::All));
        assert_eq!(reach(&sign_ins, &cookies.page, Duration::ZERO), Some(Reach::Page));
        assert_eq!(reach(&sign_ins, ONE, Duration::ZERO), None, "the token is no cookie");
        assert_eq!(reach(&sign_ins, &cookies.all, LASTS), None);
        let (stream, ..) = sign_ins.find(&cookies.all, &rules.grants, Duration::ZERO).unwrap();
        let stream = stream.ended.clone();
        sign_ins.end(&cookies.all);
        assert!(stream.is_cancelled());
        assert_eq!(reach(&sign_ins, &cookies.page, Duration::ZERO), None);
    }

    #[test]
    fn what_came_from_a_token_ends_with_it() {
        let (before, mut sign_ins) = (rules(&[ONE, OTHER]), SignIns::default());
        let (ones, _) = sign_ins.begin(grant(&before, ONE), Duration::ZERO).unwrap();
        let (others, _) = sign_ins.begin(grant(&before, OTHER), Duration::ZERO).unwrap();
        let after = rules(&[OTHER]);
        before.give_way_to(&after);
        sign_ins.keep(&after.grants);
        assert!(sign_ins.find(&ones.all, &after.grants, Duration::ZERO).is_none());
        assert!(sign_ins.find(&others.all, &after.grants, Duration::ZERO).is_some());
        assert_eq!(sign_ins.0.len(), 1);
    }

    #[test]
    fn the_oldest_goes_when_there_are_as_many_as_may_be() {
        let (rules, mut sign_ins) = (rules(&[ONE]), SignIns::default());
        let mut begin = || sign_ins.begin(grant(&rules, ONE), Duration::ZERO).unwrap();
        let (first, _) = begin();
        let (second, _) = begin();
        let let_go: u64 = (2..=SIGN_INS_MAX).map(|_| begin().1).sum();
        assert_eq!((let_go, sign_ins.0.len()), (1, SIGN_INS_MAX));
        let is_in = |cookies: &Cookies| sign_ins.find(&cookies.all, &rules.grants, Duration::ZERO).is_some();
        assert!(!is_in(&first) && is_in(&second));
    }

    #[test]
    fn what_is_open_ends_with_a_sign_in_that_is_let_go_or_over() {
        let (rules, mut sign_ins) = (rules(&[ONE]), SignIns::default());
        let mut begin = |now| {
            let (cookies, _) = sign_ins.begin(grant(&rules, ONE), now).unwrap();
            sign_ins.find(&cookies.all, &rules.grants, now).unwrap().0.ended.clone()
        };
        let (first, second) = (begin(Duration::ZERO), begin(Duration::ZERO));
        (2..=SIGN_INS_MAX).for_each(|_| _ = begin(Duration::ZERO));
        assert!(first.is_cancelled() && !second.is_cancelled());
        let last = begin(LASTS);
        assert!(second.is_cancelled() && !last.is_cancelled());
    }

    #[test]
    fn who_signs_in_without_end_signs_out_nobody_else() {
        let (rules, mut sign_ins) = (rules(&[ONE, OTHER]), SignIns::default());
        let (others, _) = sign_ins.begin(grant(&rules, OTHER), Duration::ZERO).unwrap();
        let let_go: u64 =
            (0..SIGN_INS_MAX + 9).map(|_| sign_ins.begin(grant(&rules, ONE), Duration::ZERO).unwrap().1).sum();
        assert_eq!((let_go, sign_ins.0.len()), (10, SIGN_INS_MAX));
        assert!(sign_ins.find(&others.all, &rules.grants, Duration::ZERO).is_some());
    }
}
