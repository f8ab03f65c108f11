/// When a stream that is kept is to have its next keyframe: by what it costs. Only those that are kept are
/// counted, not one that is written for a single reader.
///
/// ```
/// use tachograph_core::wire::frame::Keyframes;
///
/// let mut keyframes = Keyframes::default();
/// assert!(keyframes.are_due());
/// keyframes.add_keyframe(100);
/// keyframes.add_frame(1_199);
/// assert!(!keyframes.are_due());
/// keyframes.add_frame(1);
/// assert!(keyframes.are_due());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyframes {
    frames_max: u64,
    bytes_max: usize,
    /// Of the newest one, once there is one.
    bytes: Option<usize>,
    frames_since: u64,
    bytes_since: usize,
}

impl Default for Keyframes {
    fn default() -> Self {
        Self::within(Self::FRAMES_MAX, usize::MAX)
    }
}

impl Keyframes {
    /// The frames since a keyframe are at most so many times as long as it: so keyframes never cost more
    /// than a twelfth of the frames.
    pub const SHARE: usize = 12;
    /// Frames from a keyframe to the next one, at most.
    pub const FRAMES_MAX: u64 = 300;

    /// At least one in so many frames, and in so many bytes of them.
    pub fn within(frames: u64, bytes: usize) -> Self {
        let frames_max = frames.clamp(1, Self::FRAMES_MAX);
        Self { frames_max, bytes_max: bytes, bytes: None, frames_since: 0, bytes_since: 0 }
    }

    /// A frame of so many bytes was written.
    pub fn add_frame(&mut self, bytes: usize) {
        self.frames_since = self.frames_since.saturating_add(1);
        self.bytes_since = self.bytes_since.saturating_add(bytes);
    }

    /// A keyframe of so many bytes was written, of the newest frame.
    pub fn add_keyframe(&mut self, bytes: usize) {
        (self.bytes, self.frames_since, self.bytes_since) = (Some(bytes), 0, 0);
    }

    /// Whether it is time for one.
    pub fn are_due(&self) -> bool {
        let Some(bytes) = self.bytes else { return true };
        let is_much = self.bytes_since >= bytes.saturating_mul(Self::SHARE) || self.bytes_since > self.bytes_max;
        is_much || self.frames_since >= self.frames_max
    }
}
