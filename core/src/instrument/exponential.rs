//! The buckets of a base-2 exponential histogram, as OpenTelemetry and Prometheus native histograms
//! number them: at scale `s`, bucket `i` holds what is above 2^(i / 2^s) and at most
//! 2^((i + 1) / 2^s). Values are placed at scale 6, from the bits of the float alone; a coarser
//! scale joins neighbours.

/// The finest scale, at which values are recorded.
pub const SCALE: u8 = 6;
/// Buckets an octave at [`SCALE`].
pub(crate) const STEPS: usize = 1 << SCALE;

const MANTISSA_BITS: u32 = 52;
const EXPONENT_BIAS: i32 = 1_023;
/// Slots of the table that finds the step: narrower than any bucket, so that one holds at most one bound.
const SLOTS: usize = 128;
const SLOT_BITS: u32 = 7;
/// Left of the mantissa once sign and exponent are shifted out.
const ABOVE_MANTISSA: u32 = 64 - MANTISSA_BITS;

/// The mantissa bits at which each bucket of an octave begins, rounded down: those of 2^(k/64).
static STARTS: [u64; STEPS] = starts();
/// For each slot of the mantissa the step that its first value is in, and in the bits above the
/// mantissa bits, less one, at which the next step begins.
static SLOT_STEPS: [u64; SLOTS] = slot_steps();

/// Where a value is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Sign and biased exponent, 12 bits.
    pub(crate) key: u32,
    /// The bucket in the octave.
    pub(crate) step: usize,
}

impl Position {
    /// The position of a finite value that is not zero; what it says of others is no position.
    ///
    /// One is taken from the bits first, so that an exact power of two is in the bucket below: the
    /// upper bound is inclusive.
    #[inline]
    pub(crate) fn of(value: f64) -> Self {
        let bits = value.to_bits().wrapping_sub(1);
        let slot = SLOT_STEPS[(bits >> (MANTISSA_BITS - SLOT_BITS)) as usize % SLOTS];
        let step = slot as usize % STEPS + usize::from(bits << ABOVE_MANTISSA > slot);
        Self { key: (bits >> MANTISSA_BITS) as u32, step }
    }

    fn exponent(self) -> i32 {
        (self.key & 0x7FF) as i32
    }

    pub(crate) fn is_negative(self) -> bool {
        self.key >> 11 == 1
    }

    /// Smaller than 2^-1022: counted with the zeros.
    pub(crate) fn is_subnormal(self) -> bool {
        self.exponent() == 0
    }

    /// The bucket's number at [`SCALE`], for values of this sign.
    pub(crate) fn index(self) -> i32 {
        (self.exponent() - EXPONENT_BIAS) * STEPS as i32 + self.step as i32
    }

    /// Ascends with the value, over both signs; zero is at 0.
    pub(crate) fn ordinal(self) -> i32 {
        let magnitude = self.exponent() * STEPS as i32 + self.step as i32 + 1;
        if self.is_negative() { -magnitude } else { magnitude }
    }
}

/// Where a finite value is in the order of all buckets.
pub(crate) fn ordinal_of(value: f64) -> i32 {
    if value == 0.0 { 0 } else { Position::of(value).ordinal() }
}

/// 2^(index / 2^scale): what the values of a bucket are above.
pub(crate) fn lower_bound(index: i32, scale: u8) -> f64 {
    let fine = i64::from(index) << (SCALE - scale.min(SCALE));
    let exponent = fine.div_euclid(STEPS as i64) + i64::from(EXPONENT_BIAS);
    let start = STARTS[fine.rem_euclid(STEPS as i64) as usize];
    match exponent {
        ..1 => 0.0,
        2_047.. => f64::MAX,
        _ => f64::from_bits((exponent as u64) << MANTISSA_BITS | start),
    }
}

/// The value that stands for a bucket: of all its values none is off from it by more than
/// (b - 1) / (b + 1) of itself, where b = 2^(1 / 2^scale); at scale 6 that is 0.5416 %.
pub(crate) fn representative(index: i32, scale: u8) -> f64 {
    let base = lower_bound(1, scale);
    (lower_bound(index, scale) * (2.0 * base / (1.0 + base))).min(f64::MAX)
}

/// 2^(k/64) as the product of the roots of two that k's bits name, in fixed point with 62 bits.
const fn starts() -> [u64; STEPS] {
    const ONE: u128 = 1 << 62;
    let mut starts = [0; STEPS];
    let mut step = 0;
    while step < STEPS {
        let (mut value, mut root, mut bit) = (ONE, ONE * 2, STEPS / 2);
        while bit > 0 {
            root = (root * ONE).isqrt();
            if step & bit != 0 {
                value = value * root / ONE;
            }
            bit /= 2;
        }
        starts[step] = ((value - ONE) >> (62 - MANTISSA_BITS)) as u64;
        step += 1;
    }
    starts
}

const fn slot_steps() -> [u64; SLOTS] {
    let starts = starts();
    let mut slots = [0; SLOTS];
    let mut slot = 0;
    while slot < SLOTS {
        let first = (slot as u64) << (MANTISSA_BITS - SLOT_BITS);
        let mut step = 0;
        while step + 1 < STEPS && starts[step + 1] <= first {
            step += 1;
        }
        let next = if step + 1 < STEPS { starts[step + 1] } else { 1 << MANTISSA_BITS };
        slots[slot] = (next - 1) << ABOVE_MANTISSA | step as u64;
        slot += 1;
    }
    slots
}
