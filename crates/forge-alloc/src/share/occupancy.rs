//! A picture of a heap in text: which shares of its memory are taken.
//!
//! ```text
//!   0x7f3a40001000 + 65536  62 % taken  largest free 8192
//!   [########+###+....+#####+.......]        # taken   + in part   . free
//! ```
//!
//! # Operations
//!
//! O(spans * blocks): each span is measured and then drawn, so that no memory is needed.
//!
//! # Design
//!
//! A span is a run of blocks without a gap between them, so adjacent regions are drawn as one. A heap that does not show
//! its blocks, and a page allocator, are drawn as a level: so much of the whole is taken, wherever it lies.

use core::fmt;

use forge_alloc_core::{ByteAllocator, HeapBlock, PageAllocator};

/// How many characters a span is drawn with, if nobody says.
const WIDTH: usize = 64;

/// What a heap or a page allocator looks like; [`Display`](fmt::Display) draws it.
///
/// # Examples
///
/// ```
/// use forge_alloc::Occupancy;
///
/// assert_eq!(Occupancy::level(30, 40).width(8).to_string(), "40 units  75 % taken\n[######..]\n");
/// ```
#[derive(Clone, Copy)]
pub struct Occupancy<'a> {
    subject: Subject<'a>,
    width: usize,
}

#[derive(Clone, Copy)]
enum Subject<'a> {
    Heap(&'a dyn ByteAllocator),
    Level { used: usize, total: usize, unit: &'static str },
}

impl<'a> Occupancy<'a> {
    /// Returns the picture of `heap`: its spans, each in as many equal shares as the picture is wide. O(1).
    #[must_use]
    pub const fn of(heap: &'a dyn ByteAllocator) -> Self {
        Self { subject: Subject::Heap(heap), width: WIDTH }
    }

    /// Returns the picture of `pages`: how many of them are taken. O(1).
    #[must_use]
    pub fn of_pages<P: PageAllocator>(pages: &P) -> Self {
        let (used, total) = (pages.used_pages(), pages.total_pages());
        Self { subject: Subject::Level { used, total, unit: "pages" }, width: WIDTH }
    }

    /// Returns the picture of `used` units of `total`. O(1).
    #[must_use]
    pub const fn level(used: usize, total: usize) -> Self {
        Self { subject: Subject::Level { used, total, unit: "units" }, width: WIDTH }
    }

    /// Returns the picture with `characters` of them to a span; at least one. O(1).
    #[must_use]
    pub const fn width(mut self, characters: usize) -> Self {
        self.width = if characters == 0 { 1 } else { characters };
        self
    }
}

impl fmt::Display for Occupancy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject {
            Subject::Level { used, total, unit } => draw_level(f, used, total, unit, self.width),
            Subject::Heap(heap) => {
                let mut drawn = 0;
                while let Some(span) = span(heap, drawn) {
                    draw_span(f, heap, &span, self.width)?;
                    drawn += 1;
                }
                if drawn == 0 {
                    draw_level(f, heap.used_bytes(), heap.total_bytes(), "bytes", self.width)?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Occupancy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A run of blocks without a gap.
#[derive(Clone, Copy, Default)]
struct Span {
    start: usize,
    size: usize,
    taken: usize,
    largest_free: usize,
}

impl Span {
    fn add(&mut self, block: HeapBlock) {
        self.size += block.size;
        if block.free {
            self.largest_free = self.largest_free.max(block.size);
        } else {
            self.taken += block.size;
        }
    }
}

/// Calls `visit` with the number of the span that each block belongs to.
fn for_each_in_spans(heap: &dyn ByteAllocator, mut visit: impl FnMut(usize, HeapBlock)) {
    let mut spans = 0_usize;
    let mut end = None;
    heap.for_each_block(&mut |block| {
        if end != Some(block.address) {
            spans += 1;
        }
        end = block.address.checked_add(block.size);
        visit(spans - 1, block);
    });
}

/// Returns the span with this number.
fn span(heap: &dyn ByteAllocator, number: usize) -> Option<Span> {
    let mut found = None;
    for_each_in_spans(heap, |of, block| {
        if of == number {
            found.get_or_insert(Span { start: block.address, ..Span::default() }).add(block);
        }
    });
    found
}

/// Draws a span: a line of figures and a line of shares.
fn draw_span(f: &mut fmt::Formatter<'_>, heap: &dyn ByteAllocator, span: &Span, width: usize) -> fmt::Result {
    let percent = percent(span.taken, span.size);
    writeln!(f, "{:#x} + {}  {percent} % taken  largest free {}", span.start, span.size, span.largest_free)?;
    f.write_str("[")?;
    let mut shares = Shares { span: *span, width, share: 0, taken: 0 };
    let mut result = Ok(());
    heap.for_each_block(&mut |block| {
        let inside = block.address.wrapping_sub(span.start) < span.size;
        if inside && result.is_ok() {
            result = shares.pass(f, block);
        }
    });
    result.and(f.write_str("]\n"))
}

/// The shares of a span, written one after the other as its blocks pass.
struct Shares {
    span: Span,
    width: usize,
    /// The number of the share that is being filled.
    share: usize,
    /// How many of its bytes are taken.
    taken: usize,
}

impl Shares {
    /// Returns the first byte of share `number`, counted from the start of the span.
    fn start(&self, number: usize) -> usize {
        let product = self.span.size as u128 * number as u128 / self.width as u128;
        usize::try_from(product).unwrap_or(self.span.size)
    }

    /// Adds a block, and writes the shares that end in it.
    fn pass(&mut self, f: &mut fmt::Formatter<'_>, block: HeapBlock) -> fmt::Result {
        let mut from = block.address - self.span.start;
        let end = from + block.size;
        while self.share < self.width {
            let share_end = self.start(self.share + 1);
            let until = end.min(share_end);
            self.taken += if block.free { 0 } else { until - from };
            if end < share_end {
                break;
            }
            f.write_str(symbol(self.taken, share_end - self.start(self.share)))?;
            (self.share, self.taken, from) = (self.share + 1, 0, until);
        }
        Ok(())
    }
}

/// Returns how a share of `size` bytes looks of which `taken` are taken. An empty share looks free.
const fn symbol(taken: usize, size: usize) -> &'static str {
    if taken == 0 {
        "."
    } else if taken < size {
        "+"
    } else {
        "#"
    }
}

/// Draws a level: so much of the whole is taken.
fn draw_level(
    f: &mut fmt::Formatter<'_>,
    used: usize,
    total: usize,
    unit: &str,
    width: usize,
) -> fmt::Result {
    writeln!(f, "{total} {unit}  {} % taken", percent(used, total))?;
    f.write_str("[")?;
    // Twice the width, so that an odd half is a share in part.
    let halves = scaled(used, total, width.saturating_mul(2));
    for share in 0..width {
        f.write_str(symbol(halves.saturating_sub(share * 2).min(2), 2))?;
    }
    f.write_str("]\n")
}

fn percent(part: usize, whole: usize) -> usize {
    scaled(part, whole, 100)
}

/// Returns `part` of `whole` as a part of `scale`, rounded down, and nothing of nothing.
fn scaled(part: usize, whole: usize, scale: usize) -> usize {
    let product = part as u128 * scale as u128;
    product.checked_div(whole as u128).and_then(|scaled| usize::try_from(scaled).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
