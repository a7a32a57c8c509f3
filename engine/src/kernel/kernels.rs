//! All kernels of one CPU.

use super::measure::Measure;

/// What an instruction set has to bring. A higher one may take over what a lower one has.
#[derive(Clone, Debug)]
pub(super) struct Kernels {
    /// The instruction set, for tests.
    pub(super) name: &'static str,
    pub(super) dot: Measure<f32, f32, f32>,
    pub(super) squared_l2: Measure<f32, f32, f32>,
    pub(super) l1: Measure<f32, f32, f32>,
    pub(super) half_dot: Measure<f32, u16, f32>,
    pub(super) half_squared_l2: Measure<f32, u16, f32>,
    pub(super) half_l1: Measure<f32, u16, f32>,
    pub(super) code_dot: Measure<i8, u8, i32>,
    pub(super) code_l1: Measure<u8, u8, u32>,
    pub(super) hamming: Measure<u64, u64, u32>,
    pub(super) bit_dot: Measure<[u64; 4], u64, u32>,
    pub(super) to_halves: Convert<f32, u16>,
    pub(super) from_halves: Convert<u16, f32>,
}

/// From numbers of one sort to those of another, as many as both slices have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Convert<A, B>(unsafe fn(&[A], &mut [B]));

impl<A, B> Convert<A, B> {
    /// # Safety
    ///
    /// The CPU must have the instructions that the function is compiled for. It must ask nothing
    /// else of its callers.
    pub(super) const unsafe fn new(convert: unsafe fn(&[A], &mut [B])) -> Self {
        Self(convert)
    }

    #[inline]
    pub(super) fn convert(&self, from: &[A], to: &mut [B]) {
        // SAFETY: whoever made this has asked the CPU; see `new`.
        unsafe { (self.0)(from, to) }
    }
}
