//! Numbers that look like chance.

/// SplitMix64: the same numbers from the same seed.
#[derive(Clone, Debug)]
pub struct Chance(u64);

/// As many even numbers as make a normal one of variance 1.
const EVENS: u32 = 12;

impl Chance {
    /// Of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another one, whose numbers do not depend on how many are taken from this one later.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.number())
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to `limit`, which it is not.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit.max(1)
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    /// One of them.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(usize::try_from(self.below(choices.len() as u64)).ok()?).copied()
    }

    /// As latencies are: around a median of 1, with a long tail upwards.
    pub(crate) fn log_normal(&mut self, sigma: f64) -> f64 {
        let normal = (0..EVENS).map(|_| self.share()).sum::<f64>() - f64::from(EVENS) / 2.0;
        (sigma * normal).exp()
    }

    /// From 0 up to 1.
    fn share(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
