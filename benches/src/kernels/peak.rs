//! What the machine can do at most: read what lies in its caches or in memory, and multiply and add
//! in its registers. Plain loops, compiled for the widest vectors that the CPU has.

use std::hint::black_box;

/// Values of a vector, at its widest.
const LANES: usize = 16;
/// Independent sums, so that no addition waits for the one before it.
const SUMS: usize = 10;
/// Multiply-adds of each lane of each sum.
const STEPS: u64 = 100_000;

/// A function that is compiled for each width, and chooses among them.
macro_rules! widest {
    ($(#[$doc:meta])* $name:ident($argument:ident: $type:ty) -> $out:ty, $body:expr) => {
        $(#[$doc])*
        pub(super) fn $name($argument: $type) -> $out {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,fma")]
                fn of_512_bits($argument: $type) -> $out {
                    $body($argument)
                }
                #[target_feature(enable = "avx2,fma")]
                fn of_256_bits($argument: $type) -> $out {
                    $body($argument)
                }
                if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma") {
                    // SAFETY: the CPU has what it is compiled for.
                    return unsafe { of_512_bits($argument) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: as above.
                    return unsafe { of_256_bits($argument) };
                }
            }
            $body($argument)
        }
    };
}

widest! {
    /// Reads all values and adds them.
    read(values: &[f32]) -> (), sum
}

widest! {
    /// Multiplies by a factor and adds, again and again, and says how often.
    multiply_add(factor: f32) -> u64, products
}

#[inline(always)]
fn sum(values: &[f32]) {
    let mut sums = [[0.0f32; LANES]; SUMS];
    let (vectors, _) = values.as_chunks::<LANES>();
    for group in vectors.chunks_exact(SUMS) {
        for (sum, vector) in sums.iter_mut().zip(group) {
            for (sum, value) in sum.iter_mut().zip(vector) {
                *sum += value;
            }
        }
    }
    black_box(&sums);
}

#[inline(always)]
fn products(factor: f32) -> u64 {
    let mut sums = [[1.0f32; LANES]; SUMS];
    let factors = black_box([factor; LANES]);
    for _ in 0..STEPS {
        for sum in &mut sums {
            for (sum, factor) in sum.iter_mut().zip(&factors) {
                *sum = sum.mul_add(*factor, *factor);
            }
        }
    }
    black_box(&sums);
    STEPS * (SUMS * LANES) as u64
}
