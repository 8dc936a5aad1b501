//! Arithmetic on f32 slices for the CPU: what burn runs operation by operation, fused, and the same on every machine.
//!
//! **The same bits everywhere.** Every element of a product is one chain of fused multiply-adds in the order of
//! `k`; every sum over a row goes through sixteen lanes that are added in a fixed order; the exponential is our
//! own. So neither the width of the vector unit, nor the number of threads, nor which rows share a batch
//! changes a result. The loops are plain Rust, compiled three times (AVX-512, AVX2, baseline) and chosen when
//! the program runs.

mod attention;
mod elementwise;
mod matmul;
mod tile;

pub use attention::{Heads, attend, attend_backward};
pub use elementwise::{
    adamw, add_into, dot, exp, log_sum_exp, normalise, normalise_backward, rotate,
    softmax_minus_target, square_sum, swiglu, swiglu_backward,
};
pub use matmul::{Packed, matmul, transpose};

/// Defines a function whose body is compiled for each vector unit and chosen at run time.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[expect(unsafe_code, reason = "calling a function compiled for a vector unit that was found present")]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn wide($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn medium($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                match crate::cpu::level() {
                    // SAFETY: `level` found these features on this machine.
                    crate::cpu::Level::Avx512 => return unsafe { wide($($arg),*) },
                    // SAFETY: `level` found these features on this machine.
                    crate::cpu::Level::Avx2 => return unsafe { medium($($arg),*) },
                    crate::cpu::Level::Baseline => {}
                }
            }
            body($($arg),*)
        }
    };
}
use vectorised;

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Avx512,
    Avx2,
    Baseline,
}

#[cfg(target_arch = "x86_64")]
fn level() -> Level {
    static LEVEL: std::sync::OnceLock<Level> = std::sync::OnceLock::new();
    *LEVEL.get_or_init(|| {
        let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        match (fma, wide) {
            (true, true) => Level::Avx512,
            (true, false) => Level::Avx2,
            (false, _) => Level::Baseline,
        }
    })
}
