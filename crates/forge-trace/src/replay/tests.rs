#![allow(unsafe_code)]

use alloc::vec::Vec;

use super::{NoObserver, Observer, Options, Outcome, Replayer, Touch, replay};
use crate::doubles::{Broken, Defect, Host};
use crate::generate::{Parameters, WORKLOADS};
use crate::{Op, Trace};

fn trace(text: &str) -> Trace {
    Trace::parse("test", text.as_bytes()).unwrap()
}

#[test]
fn every_workload_runs_without_failure_and_gives_everything_back() {
    let count = if cfg!(miri) { 200 } else { 20_000 };
    for workload in WORKLOADS {
        let parameters = Parameters { live_blocks: 50, largest: 1024, ..Parameters::new(3, count) };
        let trace = (workload.generate)(&parameters);
        let stats = trace.stats();
        let host = Host::default();
        let options = Options { verify: true, ..Options::default() };
        let report = Replayer::new(&trace, options).run(&host, &mut NoObserver);
        if workload.name == "aligned" {
            // The double refuses huge blocks, and what follows them is skipped.
            assert_eq!((report.operations + report.skipped, report.corrupted), (count as u64, 0));
        } else {
            assert_eq!(
                (report.operations, report.failures, report.corrupted),
                (count as u64, 0, 0),
                "{report:?}"
            );
            assert_eq!(report.peak_live_bytes, stats.peak_live_bytes, "{}", workload.name);
            assert_eq!(report.peak_live_blocks, stats.peak_live_blocks as u64, "{}", workload.name);
            assert_eq!(report.live_blocks_at_end, stats.live_at_end as u64, "{}", workload.name);
        }
        assert_eq!(host.live.get(), 0, "{}", workload.name);
    }
}

#[test]
fn a_failed_allocation_is_counted_and_its_later_operations_are_skipped() {
    let trace = trace("a 0 8 8 0\na 1 8 8 0\nr 1 16 0\nf 1 0\nr 0 99 0\nf 0 0\n");
    let host = Host::default();
    host.allowance.set(Some(1));
    let report = replay(&trace, &host, &mut NoObserver);
    assert_eq!((report.operations, report.failures, report.skipped), (4, 2, 2));
    assert_eq!((report.peak_live_bytes, report.live_blocks_at_end), (8, 0));
    assert_eq!(host.live.get(), 0);
}

#[test]
fn blocks_that_are_live_at_the_end_are_freed_unless_asked_not_to() {
    let trace = trace("a 0 8 8 0\na 1 4 8 0\nz 2 0 8 0\n");
    let host = Host::default();
    let report = replay(&trace, &host, &mut NoObserver);
    assert_eq!((report.live_blocks_at_end, report.live_bytes_at_end, report.rounded), (3, 13, 1));
    assert_eq!(host.live.get(), 0);

    let broken = Broken::new(Defect::ReportsCorruption);
    let options = Options { free_at_end: false, ..Options::default() };
    let mut replayer = Replayer::new(&trace, options);
    for _ in 0..2 {
        assert_eq!(replayer.run(&broken, &mut NoObserver).live_blocks_at_end, 3);
    }
    // This double counts each free as an event, so there was none.
    assert_eq!(forge_alloc_core::Allocator::corruption_events(&broken), 0);
}

#[derive(Default)]
struct Diary(Vec<(usize, Option<Outcome>)>);

impl Observer for Diary {
    fn before(&mut self, index: usize, _: &Op) {
        self.0.push((index, None));
    }

    fn after(&mut self, index: usize, _: &Op, outcome: Outcome) {
        self.0.push((index, Some(outcome)));
    }
}

#[test]
fn the_observer_sees_both_sides_of_each_call_and_no_skipped_one() {
    let trace = trace("a 0 8 8 0\na 1 8 8 0\nf 1 0\nf 0 0\n");
    let host = Host::default();
    host.allowance.set(Some(1));
    let mut diary = Diary::default();
    replay(&trace, &host, &mut diary);
    let (done, failed) = (Some(Outcome::Done), Some(Outcome::Failed));
    assert_eq!(diary.0, [(0, None), (0, done), (1, None), (1, failed), (3, None), (3, done)]);
}

#[test]
fn verification_counts_what_an_allocator_breaks() {
    let options = Options { verify: true, ..Options::default() };
    let grown = trace("a 0 8 8 0\nr 0 16 0\nf 0 0\n");
    let report = Replayer::new(&grown, options).run(&Broken::new(Defect::CorruptsOnGrow), &mut NoObserver);
    assert_eq!(report.corrupted, 1);
    let zeroed = trace("z 0 1 8 0\nf 0 0\n");
    let report = Replayer::new(&zeroed, options).run(&Broken::new(Defect::ForgetsZeroing), &mut NoObserver);
    assert_eq!(report.corrupted, 1);
    let report = Replayer::new(&zeroed, options).run(&Broken::new(Defect::None), &mut NoObserver);
    assert_eq!(report.corrupted, 0);
}

#[test]
fn touching_writes_to_each_page_of_a_block_and_to_nothing_when_off() {
    let trace = trace("a 0 8100 8 0\n");
    for (touch, expected) in
        [(Touch::Nothing, [false; 2]), (Touch::First, [true, false]), (Touch::Pages, [true; 2])]
    {
        let probe = Probe::default();
        let options = Options { touch, free_at_end: false, ..Options::default() };
        Replayer::new(&trace, options).run(&probe, &mut NoObserver);
        assert_eq!(probe.written(&[0, 4096]), expected, "{touch:?}");
        assert!(!probe.written(&[8192 - 1])[0], "nothing behind the block is written");
    }
}

/// Hands out one buffer, which starts as a byte that marks never use in the places that are looked at.
struct Probe(core::cell::UnsafeCell<Vec<u8>>);

impl Default for Probe {
    fn default() -> Self {
        Self(core::cell::UnsafeCell::new(alloc::vec![0xEE; 8192]))
    }
}

impl Probe {
    fn written<const N: usize>(&self, offsets: &[usize; N]) -> [bool; N] {
        // SAFETY: the run is over, so nobody else uses the buffer.
        let bytes = unsafe { &*self.0.get() };
        offsets.map(|offset| bytes[offset] != 0xEE)
    }
}

// SAFETY: the only block is never reused.
unsafe impl forge_alloc_core::Deallocator for Probe {
    unsafe fn deallocate(&self, _: core::ptr::NonNull<u8>, _: forge_alloc_core::NonZeroLayout) {}
}

// SAFETY: the test allocates one block, which fits.
unsafe impl forge_alloc_core::Allocator for Probe {
    fn allocate(
        &self,
        layout: forge_alloc_core::NonZeroLayout,
    ) -> Result<core::ptr::NonNull<[u8]>, forge_alloc_core::AllocError> {
        // SAFETY: the buffer is borrowed for this statement only, and nobody else uses it meanwhile.
        let bytes = unsafe { &mut *self.0.get() };
        bytes.get_mut(..layout.size().get()).map(core::ptr::NonNull::from).ok_or(forge_alloc_core::AllocError)
    }
}
