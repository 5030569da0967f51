//! Random histories of the functions of C, beside a model that knows what every block holds.
//!
//! The object is opened late, so that the model keeps the allocator of the system. The environment can make the histories longer:
//! `FORGE_PRELOAD_SECONDS`.
#![cfg(not(miri))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(clippy::missing_transmute_annotations, reason = "the types are those of the fields")]

mod object;

use std::collections::BTreeMap;
use std::env;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use object::{object, skip};

unsafe extern "C" {
    fn dlopen(path: *const c_char, mode: c_int) -> *mut c_void;
    fn dlsym(object: *mut c_void, name: *const c_char) -> *mut c_void;
}

type Allocate = unsafe extern "C" fn(usize) -> *mut u8;
type AllocateTwo = unsafe extern "C" fn(usize, usize) -> *mut u8;

/// The functions of the object.
#[derive(Clone, Copy)]
struct Abi {
    malloc: Allocate,
    valloc: Allocate,
    pvalloc: Allocate,
    new: Allocate,
    calloc: AllocateTwo,
    memalign: AllocateTwo,
    aligned_alloc: AllocateTwo,
    new_aligned: AllocateTwo,
    posix_memalign: unsafe extern "C" fn(*mut *mut u8, usize, usize) -> c_int,
    realloc: unsafe extern "C" fn(*mut u8, usize) -> *mut u8,
    reallocarray: unsafe extern "C" fn(*mut u8, usize, usize) -> *mut u8,
    free: unsafe extern "C" fn(*mut u8),
    delete: unsafe extern "C" fn(*mut u8),
    free_sized: unsafe extern "C" fn(*mut u8, usize),
    free_aligned_sized: unsafe extern "C" fn(*mut u8, usize, usize),
    usable: unsafe extern "C" fn(*mut u8) -> usize,
    trim: unsafe extern "C" fn(usize) -> c_int,
}

impl Abi {
    fn open(path: &Path) -> Self {
        let path = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the object runs nothing but its constructor; each symbol is a function of the type that its field has.
        unsafe {
            let object = dlopen(path.as_ptr(), 2);
            assert!(!object.is_null());
            let find = |name: &CStr| {
                let symbol = dlsym(object, name.as_ptr());
                assert!(!symbol.is_null(), "{name:?}");
                symbol
            };
            let one = |name| std::mem::transmute::<*mut c_void, Allocate>(find(name));
            let two = |name| std::mem::transmute::<*mut c_void, AllocateTwo>(find(name));
            Self {
                malloc: one(c"malloc"),
                valloc: one(c"valloc"),
                pvalloc: one(c"pvalloc"),
                new: one(c"_Znwm"),
                calloc: two(c"calloc"),
                memalign: two(c"memalign"),
                aligned_alloc: two(c"aligned_alloc"),
                new_aligned: two(c"_ZnwmSt11align_val_t"),
                posix_memalign: std::mem::transmute(find(c"posix_memalign")),
                realloc: std::mem::transmute(find(c"realloc")),
                reallocarray: std::mem::transmute(find(c"reallocarray")),
                free: std::mem::transmute(find(c"free")),
                delete: std::mem::transmute(find(c"_ZdlPv")),
                free_sized: std::mem::transmute(find(c"free_sized")),
                free_aligned_sized: std::mem::transmute(find(c"free_aligned_sized")),
                usable: std::mem::transmute(find(c"malloc_usable_size")),
                trim: std::mem::transmute(find(c"malloc_trim")),
            }
        }
    }
}

/// A live block, which holds what its seed says.
#[derive(Debug)]
struct Block {
    address: usize,
    size: usize,
    align: usize,
    seed: u64,
}

impl Block {
    fn pointer(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.address)
    }

    fn byte(&self, at: usize) -> u8 {
        (self.seed.rotate_left(at as u32) as u8).wrapping_add((at >> 8) as u8)
    }

    fn fill(&self, from: usize) {
        // SAFETY: the block is live and has these bytes.
        (from..self.size).for_each(|at| unsafe { self.pointer().add(at).write(self.byte(at)) });
    }

    fn check(&self, abi: &Abi, until: usize) {
        // SAFETY: as above.
        unsafe {
            assert!((abi.usable)(self.pointer()) >= self.size, "{self:?}");
            let bytes = std::slice::from_raw_parts(self.pointer(), until);
            let wrong = bytes.iter().enumerate().find(|&(at, &byte)| byte != self.byte(at));
            assert_eq!(wrong, None, "{self:?}");
        }
    }

    /// Frees the block in one of the ways there are.
    fn free(self, abi: &Abi, way: u64) {
        self.check(abi, self.size);
        // SAFETY: the block is live, and forgotten.
        unsafe {
            match way % 5 {
                0 => (abi.free_sized)(self.pointer(), self.size),
                1 => (abi.free_aligned_sized)(self.pointer(), self.align, self.size),
                2 => (abi.delete)(self.pointer()),
                3 if self.size % 2 == 0 => assert!((abi.realloc)(self.pointer(), 0).is_null()),
                _ => (abi.free)(self.pointer()),
            }
        }
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Returns a size: of any magnitude up to mebibytes, and often one beside a power of two or a class.
    fn size(&mut self) -> usize {
        let longest = if self.below(60) == 0 { 22 } else { 14 };
        let power = 1_usize << self.below(longest);
        match self.below(4) {
            0 => power + power / 4 * self.below(4),
            1 => (power + self.below(3)).saturating_sub(1),
            2 => self.below(200),
            _ => self.below(2 * power),
        }
    }
}

/// What the model knows.
struct Model<'a> {
    abi: &'a Abi,
    random: Random,
    blocks: Vec<Block>,
    ends: BTreeMap<usize, usize>,
    helper: mpsc::Sender<Block>,
}

const PAGE: usize = 4096;

impl Model<'_> {
    fn step(&mut self) {
        let most = if self.random.below(5000) == 0 { 0 } else { 400 };
        match self.random.below(10) {
            0..=4 if self.blocks.len() < most => self.allocate(),
            0..=6 if self.blocks.len() > most / 2 => self.free(),
            7 | 8 => self.resize(),
            9 => self.ask_for_too_much(),
            _ => {}
        }
        if self.random.below(20_000) == 0 {
            // SAFETY: no precondition.
            unsafe { (self.abi.trim)(0) };
        }
    }

    /// Enters a block that has just been returned.
    fn enter(&mut self, pointer: *mut u8, size: usize, align: usize, kept: Option<(u64, usize)>) {
        let address = pointer.expose_provenance();
        assert!(address != 0 && address % align.max(16) == 0, "{size} at {align}: {address:#x}");
        let end = address + size.max(1);
        let before = self.ends.range(..end).next_back();
        assert!(before.is_none_or(|(_, &other)| other <= address), "{address:#x} overlaps");
        self.ends.insert(address, end);
        let (seed, from) = kept.unwrap_or((self.random.next(), 0));
        let block = Block { address, size, align, seed };
        block.check(self.abi, from);
        block.fill(from);
        self.blocks.push(block);
    }

    fn leave(&mut self) -> Option<Block> {
        if self.blocks.is_empty() {
            return None;
        }
        let place = self.random.below(self.blocks.len());
        let block = self.blocks.swap_remove(place);
        self.ends.remove(&block.address).unwrap();
        Some(block)
    }

    fn allocate(&mut self) {
        let (size, align, abi) = (self.random.size(), 1 << self.random.below(17), self.abi);
        forge_os::posix::set_errno(77);
        // SAFETY: no precondition; the place is written at most.
        let (block, align) = unsafe {
            match self.random.below(12) {
                0 => {
                    let block = (abi.calloc)(size, 1);
                    assert!((0..size).all(|at| block.add(at).read() == 0), "{size} zeroed bytes");
                    (block, 16)
                }
                1 => ((abi.memalign)(align, size), align),
                2 => ((abi.aligned_alloc)(align, size), align),
                3 => {
                    let mut place = std::ptr::null_mut();
                    assert_eq!((abi.posix_memalign)(&raw mut place, align.max(8), size), 0);
                    (place, align.max(8))
                }
                4 if size < 20_000 => ((abi.valloc)(size), PAGE),
                5 if size < 20_000 => ((abi.pvalloc)(size), PAGE),
                6 => ((abi.new)(size), 16),
                7 => ((abi.new_aligned)(size, align), align),
                8 => ((abi.realloc)(std::ptr::null_mut(), size), 16),
                _ => ((abi.malloc)(size), 16),
            }
        };
        self.errno_is(77);
        self.enter(block, size, align, None);
    }

    fn free(&mut self) {
        let Some(block) = self.leave() else { return };
        if self.random.below(4) == 0 {
            self.helper.send(block).unwrap();
        } else {
            forge_os::posix::set_errno(77);
            block.free(self.abi, self.random.next());
            self.errno_is(77);
        }
    }

    fn resize(&mut self) {
        let Some(block) = self.leave() else { return };
        let size = if self.random.below(2) == 0 { self.random.size() } else { block.size + block.size / 8 };
        let size = size.max(1);
        block.check(self.abi, block.size);
        forge_os::posix::set_errno(77);
        // SAFETY: the block is live, and forgotten.
        let moved = unsafe {
            match size % 2 {
                0 => (self.abi.reallocarray)(block.pointer(), size / 2, 2),
                _ => (self.abi.realloc)(block.pointer(), size),
            }
        };
        self.errno_is(77);
        self.enter(moved, size, 16, Some((block.seed, size.min(block.size))));
    }

    fn ask_for_too_much(&mut self) {
        let (size, abi) = (usize::MAX - self.random.below(1 << 20), self.abi);
        let kept = self.blocks.first().map_or(std::ptr::null_mut(), Block::pointer);
        forge_os::posix::set_errno(0);
        // SAFETY: the block stays, since none of these can succeed.
        let result = unsafe {
            match self.random.below(6) {
                0 => (abi.malloc)(size),
                1 => (abi.calloc)(size / 2, 3),
                2 => (abi.memalign)(64, size),
                3 => (abi.realloc)(kept, size),
                4 => (abi.reallocarray)(kept, size / 4, 5),
                _ => (abi.pvalloc)(size),
            }
        };
        assert!(result.is_null());
        self.errno_is(12);
    }

    fn errno_is(&self, code: i32) {
        assert_eq!(forge_os::OsError::last("model").code(), code, "errno");
    }
}

/// Runs a history until `until` says that it is enough.
fn history(abi: &Abi, seed: u64, until: impl Fn(u64) -> bool) {
    let (helper, sent) = mpsc::channel::<Block>();
    let abi = *abi;
    // Blocks that another thread frees, which therefore fills its own cache and never allocates from it.
    let freeing =
        thread::spawn(move || sent.iter().enumerate().for_each(|(way, block)| block.free(&abi, way as u64)));
    let mut model =
        Model { abi: &abi, random: Random(seed), blocks: Vec::new(), ends: BTreeMap::new(), helper };
    let mut steps = 0;
    while !until(steps) {
        model.step();
        steps += 1;
    }
    while let Some(block) = model.leave() {
        block.free(&abi, steps);
    }
    drop(model);
    freeing.join().unwrap();
}

#[test]
fn random_histories_agree_with_a_model_of_every_block() {
    let object = match object() {
        Ok(object) => object,
        Err(reason) => return skip("model", reason).unwrap_or(()),
    };
    let abi = Abi::open(object);
    let seconds = env::var("FORGE_PRELOAD_SECONDS").ok().and_then(|text| text.parse().ok());
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut seed = 1;
    loop {
        thread::scope(|scope| {
            for thread in 0..2 {
                let abi = &abi;
                scope.spawn(move || history(abi, seed + thread, |steps| steps == 40_000));
            }
        });
        seed += 2;
        if end.is_none_or(|end| Instant::now() >= end) {
            return;
        }
    }
}
