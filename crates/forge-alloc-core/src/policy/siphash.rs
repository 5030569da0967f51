//! A keyed tag for free-list links: SipHash-1-3, cut to 32 bits.
//!
//! ```text
//!   message, 12 bytes:  | next index (4, little-endian) | nonce (8, little-endian) |
//!   blocks of 8 bytes:  | next index, low half of nonce | high half, zeros, length 12 |
//! ```
//!
//! # Design
//!
//! The message has a fixed length, so the function is two compressions and a finish without a loop or a buffer: five
//! rounds in all. It starts from the four state words that the key yields; they are computed once, in a `const`
//! constructor, and are all that a `SipHashMAC` holds. A general streaming hasher has neither property; one serves as
//! the oracle of the tests. Both halves of the message are little-endian and the nonce is 64 bits wide, so a tag does
//! not depend on the target.
//!
//! Random keys come from the standard library, which draws 128 bits from the system once per thread and then counts
//! them up for each `RandomState`: two of those are related, not independent. One `RandomState` is therefore used as a
//! pseudo-random function. Each half of the key is its output on a number that no other key of the process has, joined
//! with a label that differs for the halves. After `fork` both processes continue the same sequence of keys.
//!
//! Comparing two words of 32 bits is one instruction, whose time does not depend on their values.
#![allow(unsafe_code)]

use core::fmt;
use core::sync::atomic::{Ordering, compiler_fence};

use super::{FreelistCorruption, FreelistProtection};

/// A [`FreelistProtection`] whose tags need a secret key: a forged link is accepted with probability 2^-32.
#[derive(Clone)]
pub struct SipHashMAC {
    /// The state of SipHash after it took the key and before it takes a message.
    keyed: [u64; 4],
}

impl SipHashMAC {
    /// Returns the protection with the key `key`. O(1).
    pub const fn with_key(key: [u8; 16]) -> Self {
        let whole = u128::from_le_bytes(key);
        Self::with_halves(whole as u64, (whole >> 64) as u64)
    }

    const fn with_halves(low: u64, high: u64) -> Self {
        Self {
            keyed: [
                low ^ 0x736f_6d65_7073_6575,
                high ^ 0x646f_7261_6e64_6f6d,
                low ^ 0x6c79_6765_6e65_7261,
                high ^ 0x7465_6462_7974_6573,
            ],
        }
    }

    /// Returns the two halves of the key.
    #[cfg(all(test, feature = "std"))]
    pub(super) fn halves(&self) -> [u64; 2] {
        [self.keyed[0] ^ 0x736f_6d65_7073_6575, self.keyed[1] ^ 0x646f_7261_6e64_6f6d]
    }
}

#[cfg(feature = "std")]
impl SipHashMAC {
    /// Returns the protection with a fresh random key. O(1); the first call of a thread asks the system for entropy.
    #[must_use]
    pub fn new() -> Self {
        use std::hash::{BuildHasher, Hasher, RandomState};

        use super::counter::Counter;

        static KEYS: Counter = Counter::new(0);
        let serial = KEYS.step(|count| count.wrapping_add(1));
        let secret = RandomState::new();
        let half = |label: u8| {
            let mut hasher = secret.build_hasher();
            hasher.write_usize(serial);
            hasher.write_u8(label);
            hasher.finish()
        };
        Self::with_halves(half(1), half(2))
    }
}

#[cfg(feature = "std")]
impl Default for SipHashMAC {
    fn default() -> Self {
        Self::new()
    }
}

impl FreelistProtection for SipHashMAC {
    #[inline]
    fn sign(&self, next_idx: u32, slot_addr: usize) -> u32 {
        let nonce = slot_addr as u64;
        let first = u64::from(next_idx) | nonce << 32;
        let last = nonce >> 32 | 12 << 56;
        hash_two_blocks(self.keyed, first, last) as u32
    }

    #[inline]
    fn verify(&self, next_idx: u32, stored_mac: u32, slot_addr: usize) -> Result<(), FreelistCorruption> {
        if self.sign(next_idx, slot_addr) ^ stored_mac == 0 { Ok(()) } else { Err(FreelistCorruption) }
    }
}

impl fmt::Debug for SipHashMAC {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SipHashMAC").finish_non_exhaustive()
    }
}

impl Drop for SipHashMAC {
    fn drop(&mut self) {
        for word in &mut self.keyed {
            // SAFETY: `word` is a valid, exclusive reference.
            unsafe { core::ptr::write_volatile(word, 0) };
        }
        // Keeps the stores ahead of whatever reuses the memory.
        compiler_fence(Ordering::SeqCst);
    }
}

/// Returns SipHash-1-3 of a message that ends in its second block.
#[inline]
fn hash_two_blocks(keyed: [u64; 4], first: u64, last: u64) -> u64 {
    let mut state = keyed;
    for block in [first, last] {
        state[3] ^= block;
        state = round(state);
        state[0] ^= block;
    }
    state[2] ^= 0xff;
    let [a, b, c, d] = round(round(round(state)));
    a ^ b ^ c ^ d
}

/// Returns the state after one SipRound.
#[inline]
const fn round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    [a, b, c, d]
}
