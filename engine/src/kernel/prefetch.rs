//! Asking the CPU for memory that will be read soon.

/// What memory comes in.
const CACHE_LINE: usize = 64;

/// Asks for every cache line that `bytes` touch. A hint, by which nothing but the speed changes;
/// it does nothing where the instruction set has none.
#[inline(always)]
pub(crate) fn prefetch(bytes: &[u8]) {
    let mut left = bytes.as_ptr().addr() % CACHE_LINE + bytes.len();
    let mut line = bytes.as_ptr();
    while left > 0 {
        prefetch_line(line);
        line = line.wrapping_add(CACHE_LINE);
        left = left.saturating_sub(CACHE_LINE);
    }
}

/// Asks for the first lines, so many that the CPU itself sees what comes after them; of long rows
/// all would push out what is being read.
#[inline(always)]
pub(crate) fn prefetch_first(bytes: &[u8]) {
    const MOST: usize = 2_048;
    prefetch(&bytes[..bytes.len().min(MOST)]);
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch_line(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: every x86-64 CPU has it, and it neither faults nor shows what it finds, whatever
    // the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn prefetch_line(address: *const u8) {
    // SAFETY: every aarch64 CPU has it, and it neither faults nor shows what it finds, whatever
    // the address.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{address}]",
            address = in(reg) address,
            options(nostack, preserves_flags, readonly),
        );
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline(always)]
fn prefetch_line(_address: *const u8) {}
