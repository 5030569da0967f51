//! The binary format: three to four bytes an event, counted and checksummed.
//!
//! ```text
//!   offset 0              8         9
//!          +--------------+---------+---------+---------+-- ... --+------------+
//!          | magic        | version | blocks  | events  | events  | checksum   |
//!          | 8 bytes      | 1 byte  | varint  | varint  |         | 8 bytes LE |
//!          +--------------+---------+---------+---------+-- ... --+------------+
//!
//!   one event:
//!          +------+----------+------------+----------+------+
//!          | head | [thread] | [id]       | [align]  | size |      fields in brackets as the head says
//!          +------+----------+------------+----------+------+
//!
//!   head   7 6 5   4       3       2        1 0
//!          0 0 0   id      align   thread   kind      kind: 0 allocate, 1 allocate zeroed, 2 resize, 3 free
//! ```
//!
//! - Magic: `89 46 54 52 43 0D 0A 1A`, which is `\x89FTRC\r\n\x1A`: no text file starts so, and a transfer that
//!   rewrites line ends breaks it at once. Version: 1.
//! - varint: seven bits a byte, lowest first, the top bit set on every byte but the last; at most 64 bits.
//! - thread (varint): present if the thread differs from the one of the event before; the first is compared with 0.
//! - id: of an allocation, present if it is not one more than the highest number so far; of a resize or a free, always
//!   present, and its head bit is 0. Coded as a zigzag varint of *highest number so far - id*, where *highest* starts
//!   at -1. Programs mostly free young blocks, so the distance is short.
//! - align (1 byte, binary logarithm): of an allocation, present if it differs from the one of the allocation before;
//!   the first is compared with 16 bytes.
//! - size (varint, bytes): of all but a free.
//! - checksum: 64-bit FNV-1a of every byte before it. Each step is a bijection, so no change of a single byte escapes.
//!
//! # Design
//!
//! Delta coding instead of general compression keeps the reader within one page and free of dependencies; zstd can
//! still be put on top. The counts let the reader reserve once and notice a cut before it decodes anything.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::trace::Checker;
use crate::{Op, Trace, TraceError};

/// The first bytes of every file.
pub const MAGIC: [u8; 8] = [0x89, b'F', b'T', b'R', b'C', 0x0D, 0x0A, 0x1A];

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u8 = 1;

const CHECKSUM_BYTES: usize = 8;
const SHORTEST_EVENT: usize = 2;

const ALLOCATE: u8 = 0;
const ALLOCATE_ZEROED: u8 = 1;
const RESIZE: u8 = 2;
const FREE: u8 = 3;
const KIND: u8 = 0b11;
const HAS_THREAD: u8 = 1 << 2;
const HAS_ALIGN: u8 = 1 << 3;
const HAS_ID: u8 = 1 << 4;

/// What the coder remembers from the events before.
struct Context {
    thread: u16,
    align_log2: u8,
    /// The highest block number so far, -1 before the first.
    highest: i64,
}

impl Context {
    const fn new() -> Self {
        Self { thread: 0, align_log2: 4, highest: -1 }
    }
}

/// Returns `trace` in the binary format. O(operations).
#[must_use]
pub fn write_binary(trace: &Trace) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAGIC.len() + 32 + 4 * trace.ops().len());
    bytes.extend_from_slice(&MAGIC);
    bytes.push(VERSION);
    put_varint(&mut bytes, trace.blocks() as u64);
    put_varint(&mut bytes, trace.ops().len() as u64);
    let mut context = Context::new();
    for op in trace.ops() {
        put_event(&mut bytes, op, &mut context);
    }
    let checksum = checksum(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn put_event(bytes: &mut Vec<u8>, op: &Op, context: &mut Context) {
    let (kind, align, size) = match *op {
        Op::Allocate { size, align, zeroed: false, .. } => (ALLOCATE, Some(align), Some(size)),
        Op::Allocate { size, align, zeroed: true, .. } => (ALLOCATE_ZEROED, Some(align), Some(size)),
        Op::Resize { size, .. } => (RESIZE, None, Some(size)),
        Op::Free { .. } => (FREE, None, None),
    };
    let id = i64::from(op.id());
    let id_is_next = align.is_some() && id == context.highest + 1;
    let new_thread = Some(op.thread()).filter(|thread| *thread != context.thread);
    let new_align =
        align.map(|align| align.trailing_zeros() as u8).filter(|log2| *log2 != context.align_log2);

    let mut head = kind;
    head |= if new_thread.is_some() { HAS_THREAD } else { 0 };
    head |= if new_align.is_some() { HAS_ALIGN } else { 0 };
    head |= if align.is_some() && !id_is_next { HAS_ID } else { 0 };
    bytes.push(head);
    if let Some(thread) = new_thread {
        put_varint(bytes, u64::from(thread));
        context.thread = thread;
    }
    if !id_is_next {
        put_varint(bytes, zigzag(context.highest - id));
    }
    if let Some(log2) = new_align {
        bytes.push(log2);
        context.align_log2 = log2;
    }
    if let Some(size) = size {
        put_varint(bytes, size as u64);
    }
    context.highest = context.highest.max(id);
}

/// Returns the trace in the binary `bytes`, under `name`. O(bytes).
///
/// # Errors
///
/// [`TraceError`] with the offset or the operation, if the bytes are cut off, damaged, of another version, or hold a
/// history that makes no sense.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Trace, TraceError> {
    let mut reader = Reader { name, bytes, at: MAGIC.len() };
    if !bytes.starts_with(&MAGIC) {
        return Err(TraceError::new(name, "the magic number of a binary trace", "other bytes").at_offset(0));
    }
    let version = reader.byte("a version")?;
    if version != VERSION {
        let found = format!("version {version}");
        return Err(TraceError::new(name, format!("version {VERSION}"), found).at_offset(MAGIC.len()));
    }
    let body = reader.verify_checksum()?;
    reader.bytes = body;
    let blocks: usize = reader.varint("the number of blocks")?;
    let events: usize = reader.varint("the number of events")?;
    if events > body.len() / SHORTEST_EVENT {
        return Err(reader.error("as many events as fit into the file", format!("a count of {events}")));
    }
    let mut checker = Checker::new(events);
    let mut ops = Vec::with_capacity(events);
    let mut context = Context::new();
    for index in 0..events {
        let op = reader.event(&mut context)?;
        checker.admit(&op).map_err(|fault| fault.in_file(name).at_operation(index))?;
        ops.push(op);
    }
    if reader.at != body.len() {
        return Err(reader.error("the checksum after the last event", String::from("more bytes")));
    }
    let trace = Trace::from_checked(name, ops, &checker)?;
    if trace.blocks() != blocks {
        return Err(TraceError::new(name, format!("{blocks} blocks"), format!("{}", trace.blocks())));
    }
    Ok(trace)
}

/// The bytes of a file and how far they have been read.
struct Reader<'a> {
    name: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, expected: &str, found: String) -> TraceError {
        TraceError::new(self.name, expected, found).at_offset(self.at)
    }

    /// Returns the bytes before the checksum, if it is theirs.
    fn verify_checksum(&self) -> Result<&'a [u8], TraceError> {
        let expected = "a checksum of everything before it (is the file cut off or damaged?)";
        match self.bytes.split_last_chunk::<CHECKSUM_BYTES>() {
            Some((body, stored)) if body.len() >= self.at => {
                let stored = u64::from_le_bytes(*stored);
                let computed = checksum(body);
                if stored == computed {
                    return Ok(body);
                }
                let found = format!("{stored:#018x} instead of {computed:#018x}");
                Err(TraceError::new(self.name, expected, found).at_offset(body.len()))
            }
            _ => Err(self.error(expected, String::from("the end of the file"))),
        }
    }

    fn byte(&mut self, expected: &str) -> Result<u8, TraceError> {
        match self.bytes.get(self.at) {
            Some(byte) => {
                self.at += 1;
                Ok(*byte)
            }
            None => Err(self.error(expected, String::from("the end of the file"))),
        }
    }

    fn varint<N: TryFrom<u64>>(&mut self, expected: &str) -> Result<N, TraceError> {
        let mut number = 0u64;
        let mut shift = 0;
        loop {
            let byte = self.byte(expected)?;
            let bits = u64::from(byte & 0x7F);
            if shift >= u64::BITS || bits << shift >> shift != bits {
                return Err(self.error(expected, String::from("a number of more than 64 bits")));
            }
            number |= bits << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        N::try_from(number).map_err(|_| self.error(expected, format!("{number}, which is too large")))
    }

    fn event(&mut self, context: &mut Context) -> Result<Op, TraceError> {
        let head = self.byte("an event")?;
        let kind = head & KIND;
        let allocates = kind == ALLOCATE || kind == ALLOCATE_ZEROED;
        let known = if allocates { KIND | HAS_THREAD | HAS_ALIGN | HAS_ID } else { KIND | HAS_THREAD };
        if head & !known != 0 {
            return Err(self.error("the head of an event", format!("{head:#04x}")));
        }
        if head & HAS_THREAD != 0 {
            context.thread = self.varint("a thread number below 65536")?;
        }
        let id = if allocates && head & HAS_ID == 0 {
            context.highest.checked_add(1)
        } else {
            context.highest.checked_sub(unzigzag(self.varint("the distance to a block number")?))
        };
        let Some(id) = id.and_then(|id| u32::try_from(id).ok()) else {
            return Err(self.error("a block number of 32 bits", String::from("one outside of them")));
        };
        context.highest = context.highest.max(i64::from(id));
        if head & HAS_ALIGN != 0 {
            context.align_log2 = self.byte("the logarithm of an alignment")?;
        }
        let thread = context.thread;
        if !allocates {
            return match kind {
                RESIZE => Ok(Op::Resize { id, size: self.varint("a size in bytes")?, thread }),
                _ => Ok(Op::Free { id, thread }),
            };
        }
        let Some(align) = 1usize.checked_shl(u32::from(context.align_log2)) else {
            return Err(self.error("the logarithm of an alignment", format!("{}", context.align_log2)));
        };
        let size = self.varint("a size in bytes")?;
        Ok(Op::Allocate { id, size, align, zeroed: kind == ALLOCATE_ZEROED, thread })
    }
}

fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Returns `number` with its sign in the lowest bit, so that numbers close to 0 are short.
const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Returns the 64-bit FNV-1a hash of `bytes`.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests;
