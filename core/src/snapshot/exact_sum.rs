use alloc::vec::Vec;
use core::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// Limbs of 64 bits: 2,098 bits from 2^-1074 to 2^1024, and 78 more, one of them the sign.
const LIMBS: usize = 34;
const MANTISSA_BITS: usize = 52;

/// A sum of floats without rounding, so that the order of adding does not matter.
///
/// It is a float for as long as the sum is one, and a whole number of 2^-1074, the smallest float,
/// in two's complement when it is not. There is one form for each sum, so that equal sums are equal.
/// On the wire it is the nearest float.
///
/// ```
/// use tachograph_core::snapshot::ExactSum;
///
/// let mut sum = ExactSum::from(1e16);
/// sum.add(1.0);
/// sum.subtract(&ExactSum::from(1e16));
/// assert_eq!(sum.value(), 1.0);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
pub struct ExactSum {
    /// The sum, rounded to the nearest float if it is not one.
    nearest: f64,
    /// The sum, lowest limb first; empty if `nearest` is the sum.
    limbs: Vec<u64>,
}

impl From<f64> for ExactSum {
    /// What is not finite counts as 0.
    fn from(value: f64) -> Self {
        Self { nearest: if value.is_finite() { value } else { 0.0 }, limbs: Vec::new() }
    }
}

impl From<ExactSum> for f64 {
    fn from(sum: ExactSum) -> Self {
        sum.nearest
    }
}

impl ExactSum {
    /// The float nearest to the sum, the largest ones if it is beyond them.
    pub fn value(&self) -> f64 {
        self.nearest
    }

    /// Adds a value; one that is not finite is left out.
    pub fn add(&mut self, value: f64) {
        self.add_all([value]);
    }

    /// Adds values; those that are not finite are left out.
    pub fn add_all(&mut self, values: impl IntoIterator<Item = f64>) {
        for value in values.into_iter().filter(|value| value.is_finite()) {
            match exact_float_sum(self.nearest, value).filter(|_| self.limbs.is_empty()) {
                Some(sum) => self.nearest = sum,
                None => {
                    self.spread();
                    add_float(&mut self.limbs, value);
                }
            }
        }
        self.settle();
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        if other.limbs.is_empty() {
            return self.add(other.nearest);
        }
        self.spread();
        add_limbs(&mut self.limbs, other.limbs.iter().copied(), false);
        self.settle();
    }

    /// Takes another sum away.
    pub fn subtract(&mut self, other: &Self) {
        if other.limbs.is_empty() {
            return self.add(-other.nearest);
        }
        self.spread();
        add_limbs(&mut self.limbs, other.limbs.iter().map(|limb| !limb), true);
        self.settle();
    }

    /// Begins anew, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.nearest = 0.0;
        self.limbs.clear();
    }

    fn spread(&mut self) {
        if self.limbs.is_empty() {
            self.limbs.resize(LIMBS, 0);
            add_float(&mut self.limbs, self.nearest);
        }
    }

    fn settle(&mut self) {
        if self.limbs.is_empty() {
            // One zero, so that equal sums are equal.
            self.nearest += 0.0;
            return;
        }
        let (nearest, is_exact) = nearest_float(&self.limbs);
        self.nearest = nearest;
        if is_exact {
            self.limbs.clear();
        }
    }
}

impl PartialOrd for ExactSum {
    /// As the nearest floats compare.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.nearest.partial_cmp(&other.nearest)
    }
}

/// The sum, if it is a float: Knuth's two-sum, whose error term must be zero.
fn exact_float_sum(one: f64, other: f64) -> Option<f64> {
    let sum = one + other;
    let part = sum - one;
    let error = (one - (sum - part)) + (other - part);
    (sum.is_finite() && error == 0.0).then_some(sum)
}

fn add_float(limbs: &mut [u64], value: f64) {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> MANTISSA_BITS) as usize & 0x7FF, bits & ((1 << MANTISSA_BITS) - 1));
    let mantissa = if exponent == 0 { fraction } else { fraction | 1 << MANTISSA_BITS };
    let shift = exponent.saturating_sub(1);
    let wide = u128::from(mantissa) << (shift % 64);
    let place = shift / 64;
    let magnitude = (0..LIMBS).map(|limb| match limb.wrapping_sub(place) {
        0 => wide as u64,
        1 => (wide >> 64) as u64,
        _ => 0,
    });
    if value.is_sign_negative() {
        add_limbs(limbs, magnitude.map(|limb| !limb), true);
    } else {
        add_limbs(limbs, magnitude, false);
    }
}

fn add_limbs(limbs: &mut [u64], others: impl Iterator<Item = u64>, mut carry: bool) {
    for (limb, other) in limbs.iter_mut().zip(others) {
        let (sum, over) = limb.overflowing_add(other);
        let (sum, over_again) = sum.overflowing_add(u64::from(carry));
        (*limb, carry) = (sum, over || over_again);
    }
}

/// Rounds to nearest, ties to even, and says whether nothing was lost.
fn nearest_float(limbs: &[u64]) -> (f64, bool) {
    let is_negative = limbs.last().is_some_and(|limb| limb >> 63 == 1);
    let mut magnitude = [0; LIMBS];
    add_limbs(&mut magnitude, limbs.iter().map(|limb| if is_negative { !limb } else { *limb }), is_negative);
    let (float, is_exact) = nearest_positive(&magnitude);
    (if is_negative { -float } else { float }, is_exact)
}

fn nearest_positive(limbs: &[u64; LIMBS]) -> (f64, bool) {
    let Some(top) = limbs.iter().rposition(|limb| *limb != 0) else { return (0.0, true) };
    let highest_bit = top * 64 + limbs[top].ilog2() as usize;
    let shift = highest_bit.saturating_sub(MANTISSA_BITS);
    let (place, low) = (shift / 64, shift % 64);
    let above = limbs.get(place + 1).copied().unwrap_or(0);
    let mantissa = ((u128::from(above) << 64 | u128::from(limbs[place])) >> low) as u64;
    let is_set = |bit: usize| limbs[bit / 64] >> (bit % 64) & 1 == 1;
    let is_half = shift > 0 && is_set(shift - 1);
    let is_more = shift > 0 && any_set_below(limbs, shift - 1);
    let rounding = u64::from(is_half && (is_more || mantissa & 1 == 1));
    // For shift 0 the whole number is the float's own bits; above, the mantissa's highest bit is
    // one step of the exponent. Rounding up carries into the exponent as it should.
    let float = f64::from_bits(((shift as u64) << MANTISSA_BITS) + mantissa + rounding);
    if float.is_finite() && highest_bit < 2_098 { (float, !is_half && !is_more) } else { (f64::MAX, false) }
}

fn any_set_below(limbs: &[u64; LIMBS], bit: usize) -> bool {
    let (place, low) = (bit / 64, bit % 64);
    limbs[..place].iter().any(|limb| *limb != 0) || limbs[place] & ((1 << low) - 1) != 0
}
