//! Numbers of 16 bits (IEEE 754 binary16), kept as their bits.
//!
//! The portable conversions, without branches, so that the compiler makes vector instructions of
//! them. They give the same bits as the instructions of x86 and of aarch64.

/// The sign of a half, in its place.
const SIGN: u32 = 0x8000;
/// An infinite half.
const INFINITE: u32 = 0x7c00;
/// The bit that makes a NaN a quiet one.
const QUIET: u32 = 0x0200;
/// 2^112: what the exponents of the two formats are apart.
const REBIAS: f32 = f32::from_bits((127 + 112) << 23);

/// The same number, exactly. A NaN becomes quiet and keeps the rest of its bits.
#[inline(always)]
pub(super) fn from_half(half: u16) -> f32 {
    let half = u32::from(half);
    let magnitude = half & !SIGN;
    // Exact for subnormal numbers as well, which a shift of the bits alone is not.
    let finite = (f32::from_bits(magnitude << 13) * REBIAS).to_bits();
    let quiet = if magnitude > INFINITE { QUIET << 13 } else { 0 };
    let other = f32::INFINITY.to_bits() | magnitude << 13 | quiet;
    let bits = if magnitude < INFINITE { finite } else { other };
    f32::from_bits(bits | (half & SIGN) << 16)
}

/// The nearest half, of two equally near the even one; infinite from 65,520 on.
#[inline(always)]
pub(super) fn to_half(value: f32) -> u16 {
    /// The smallest normal half, 2^-14.
    const NORMAL: u32 = (127 - 14) << 23;
    /// 2^16: what is as large is infinite.
    const TOO_LARGE: u32 = (127 + 16) << 23;
    let sign = value.to_bits() >> 16 & SIGN;
    let magnitude = value.to_bits() & !(SIGN << 16);
    // Between two numbers of this size lies 2^-24, as between two subnormal halves: the addition
    // rounds as it should.
    let subnormal = (f32::from_bits(magnitude) + 0.5)
        .to_bits()
        .wrapping_sub(0.5f32.to_bits());
    let odd = magnitude >> 13 & 1;
    let normal = magnitude.wrapping_sub(112 << 23).wrapping_add(0xfff + odd) >> 13;
    let nan = INFINITE | QUIET | magnitude >> 13 & (QUIET - 1);
    let half = if magnitude > f32::INFINITY.to_bits() {
        nan
    } else if magnitude >= TOO_LARGE {
        INFINITE
    } else if magnitude < NORMAL {
        subnormal
    } else {
        normal
    };
    (sign | half) as u16
}
