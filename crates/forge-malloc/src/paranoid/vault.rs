//! A vault: a mapping for metadata, somewhere between guards.
//!
//! ```text
//!   | guards: up to PADS bytes | the data, from the start of a page on | guards: up to PADS bytes |
//! ```
//!
//! # Invariants
//!
//! - (I1) The pages in front of the data and behind it are guards for as long as the vault stays mapped.
//! - (I2) The data was zero when the vault was made.
//!
//! # Operations
//!
//! Making one: at most six system calls.
//!
//! # Design
//!
//! The system puts mappings one after another, so that what is at a known distance from a block in one run of a program is
//! there in the next. The number of guards is random: a write at a guessed distance from a block meets a guard, and the data
//! with a small chance. Guards cost page tables, which is why there are no more of them.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_os::{MapOptions, Os};

use super::dice::Dice;
use super::guards;

/// The most bytes of guards on one side. A simulated system has memory behind its guards, so there are fewer.
const PADS: usize = match (cfg!(miri), cfg!(test)) {
    (true, _) => 8 << 10,
    (_, true) => 64 << 10,
    _ => 2 << 20,
};

/// A mapping for metadata.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vault {
    mapping: NonNull<u8>,
    len: usize,
    data: NonNull<u8>,
}

impl Vault {
    /// Returns a vault with `bytes` bytes of data; none if there is no memory, or there are no guards.
    pub(super) fn new(os: &impl Os, bytes: usize, dice: &mut Dice) -> Option<Self> {
        let most = (PADS / os.page_size()) as u32;
        let (front, behind) = (1 + dice.below(most) as usize, 1 + dice.below(most) as usize);
        Self::between(os, front, bytes, behind).or_else(|| Self::between(os, 1, bytes, 1))
    }

    /// Returns a vault with so many pages of guards in front and behind.
    fn between(os: &impl Os, front: usize, bytes: usize, behind: usize) -> Option<Self> {
        let page = os.page_size();
        let (front, behind) = (front.checked_mul(page)?, behind.checked_mul(page)?);
        let data_len = bytes.checked_next_multiple_of(page)?;
        let len = data_len.checked_add(front)?.checked_add(behind)?;
        let mapping = os.map(len, MapOptions::new().with_reserve()).ok()?;
        // SAFETY: the mapping is fresh, and all parts are whole pages of it.
        unsafe {
            let data = mapping.add(front);
            let vault = Self { mapping, len, data };
            let guarded = os.commit(mapping, len).is_ok()
                && guards::shut_fresh(os, mapping, front, true).is_ok()
                && guards::shut_fresh(os, data.add(data_len), behind, true).is_ok();
            if guarded {
                return Some(vault);
            }
            vault.give_back(os);
        }
        None
    }

    /// Returns the first byte of the data, which is aligned to a page.
    pub(super) fn data(&self) -> NonNull<u8> {
        self.data
    }

    /// Returns how many bytes are mapped, with the guards.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the vault to the system; if the system refuses it stays mapped and unused.
    ///
    /// # Safety
    ///
    /// Nothing uses the data any more.
    pub(super) unsafe fn give_back(self, os: &impl Os) {
        // SAFETY: the mapping is whole, and the caller gives it up.
        let _ = unsafe { os.unmap(self.mapping, self.len) };
    }
}

#[cfg(test)]
mod tests;
