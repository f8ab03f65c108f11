use tachograph_core::wire::Identity;
use tachograph_core::wire::frame::Epoch;

/// Names a session: no other one has the same, whatever their clients call them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    /// The server's start, by the first digits of its epoch.
    pub tag: u32,
    /// The server's own number for it.
    pub id: u64,
}

impl SessionKey {
    /// The session of this number of a server's start.
    pub fn new(epoch: Epoch, id: u64) -> Self {
        Self { tag: tag(epoch), id }
    }

    /// The key as an address has it: `1f00a2b4-12`.
    pub fn text(self) -> String {
        format!("{:x}-{}", self.tag, self.id)
    }

    /// Reads what [`text`](Self::text) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (tag, id) = text.split_once('-')?;
        Some(Self { tag: u32::from_str_radix(tag, 16).ok()?, id: id.parse().ok()? })
    }
}

/// A server's start by the first digits of its epoch.
pub fn tag(epoch: Epoch) -> u32 {
    let [first, second, third, fourth, ..] = epoch.to_bytes();
    u32::from_be_bytes([first, second, third, fourth])
}

/// What to call a session.
pub fn name_of(identity: &Identity) -> &str {
    let Identity { session_id, connection_id, .. } = identity;
    session_id.as_deref().or(connection_id.as_deref()).unwrap_or("unnamed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_from_its_text() {
        let key = SessionKey::new(Epoch::from_bytes([0x1F, 0, 0xA2, 0xB4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6]), 12);
        assert_eq!((key.text().as_str(), SessionKey::parse(&key.text())), ("1f00a2b4-12", Some(key)));
        assert_eq!(["", "12", "x-1", "1-"].map(SessionKey::parse), [None; 4]);
    }

    #[test]
    fn a_session_without_a_name_has_one_to_show() {
        assert_eq!(name_of(&Identity::default()), "unnamed");
    }
}
