//! Slabs under the wrappers that guard and watch them, ours and the reference's, in the same order.
//!
//! Objects are those of the other rows; where a wrapper adds words around a block, the slots have room for them.

use forge_alloc::{BumpArena, Faulty, MmapBacked, NeverFail, Slab};

use super::{Object, allocator_slots};

/// The blocks that the quarantine of the rows holds back.
const HELD: usize = 64;

/// A slot with room for an object and the words around it.
type Roomy = [u64; 10];

/// Returns the bytes of a mapping for `slots` roomy slots, what is kept beside them, and guards.
fn room(slots: usize) -> usize {
    (slots + HELD) * (size_of::<Roomy>() + 16) + (1 << 16)
}

/// Makes the contestants of one library; `$who` stands in front of their names.
macro_rules! layers {
    ($library:ident, $side:ident, $who:literal, $suffix:ident) => {
        pub mod $suffix {
            //! The contestants of one library.

            use $library::{
                AllocError, Canary, CryptoSlab, GuardPage, HardenedSlab, LockedMmapBacked, MmapBacked, NullHandler,
                PoisonOnFree, Quarantine, SipHashMAC, Slab, SplitMetadata, Statistics, Watermark, ZeroizeOnFree,
                page_size,
            };

            use super::{HELD, Object, Roomy, allocator_slots, room};

            type Plain = Slab<Object, MmapBacked>;

            fn plain(slots: usize) -> Result<Plain, AllocError> {
                Slab::new(slots + HELD, MmapBacked::new(room(slots))?)
            }

            fn crypto(slots: usize) -> Result<CryptoSlab<Object>, AllocError> {
                // Small, because the limit on locked memory often is.
                let data = LockedMmapBacked::new(slots * size_of::<Object>() + 2 * page_size())?;
                let guarded = GuardPage::new(SplitMetadata::new(data, page_size())?, page_size())?;
                Ok(ZeroizeOnFree::new(Slab::new(slots, guarded)?))
            }

            fn hardened(slots: usize) -> Result<HardenedSlab<Object>, AllocError> {
                let data = MmapBacked::new(slots * size_of::<Object>() + 2 * page_size())?;
                Slab::new(slots, GuardPage::new(SplitMetadata::new(data, page_size())?, page_size())?)
            }

            fn everything(slots: usize) -> Result<Everything, AllocError> {
                let slab = Slab::with_protection(slots + HELD, MmapBacked::new(room(slots))?, SipHashMAC::new())?;
                Ok(Statistics::new(Canary::new(PoisonOnFree::new(Quarantine::new(slab)))))
            }

            type Everything =
                Statistics<Canary<PoisonOnFree<Quarantine<Slab<Roomy, MmapBacked, SipHashMAC>, HELD>>>>;

            allocator_slots!($library, Bare(Plain), Context, concat!($who, ": bare slab"),
                slots => plain(slots));
            allocator_slots!($library, Signed(Slab<Object, MmapBacked, SipHashMAC>), $side, concat!($who, ": SipHashMAC"),
                slots => MmapBacked::new(room(slots)).and_then(|backing| {
                    Slab::with_protection(slots, backing, SipHashMAC::new())
                }));
            allocator_slots!($library, Counted(Statistics<Plain>), $side, concat!($who, ": Statistics"),
                slots => plain(slots).map(Statistics::new));
            allocator_slots!($library, Marked(Watermark<Plain, NullHandler>), $side, concat!($who, ": Watermark"),
                slots => plain(slots).map(|slab| Watermark::new(slab, NullHandler)));
            allocator_slots!($library, Held(Quarantine<Plain, HELD>), $side, concat!($who, ": Quarantine, 64"),
                slots => plain(slots).map(Quarantine::new));
            allocator_slots!($library, Poisoned(PoisonOnFree<Plain>), $side, concat!($who, ": PoisonOnFree"),
                slots => plain(slots).map(PoisonOnFree::new));
            allocator_slots!($library, Zeroed(ZeroizeOnFree<Plain>), $side, concat!($who, ": ZeroizeOnFree"),
                slots => plain(slots).map(ZeroizeOnFree::new));
            allocator_slots!($library, Guarded(Canary<Slab<Roomy, MmapBacked>>), $side, concat!($who, ": Canary"),
                slots => MmapBacked::new(room(slots)).and_then(|backing| Ok(Canary::new(Slab::new(slots, backing)?))));
            allocator_slots!($library, Crypto(CryptoSlab<Object>), $side, concat!($who, ": CryptoSlab"),
                slots => crypto(slots));
            allocator_slots!($library, Hardened(HardenedSlab<Object>), $side, concat!($who, ": HardenedSlab"),
                slots => hardened(slots));
            allocator_slots!($library, All(Everything), $side,
                concat!($who, ": Statistics, Canary, PoisonOnFree, Quarantine, SipHashMAC"),
                slots => everything(slots));
        }
    };
}

layers!(forge_alloc, Ours, "ours", ours);
layers!(forge_alloc_reference, Peer, "reference", reference);

/// A slab under wrappers that add nothing to a request, over backings that add nothing either.
type Nothing = Faulty<Faulty<Slab<Object, NumaFree>, NeverFail>, NeverFail>;

/// A mapping that is passed through two wrappers of a kind that looks at no request.
type NumaFree = BumpArena<BumpArena<MmapBacked>>;

allocator_slots!(forge_alloc, Transparent(Nothing), Context, "ours: transparent wrappers",
slots => MmapBacked::new(room(slots)).and_then(BumpArena::new).and_then(BumpArena::new).and_then(|backing| {
    let slab = Slab::new(slots + HELD, backing)?;
    Ok(Faulty::new(Faulty::new(slab, NeverFail), NeverFail))
}));
