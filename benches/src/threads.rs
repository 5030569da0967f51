//! A second thread for rows about two: it lives as long as its contestant and keeps a state of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvError, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// A thread that waits for work on its state.
pub struct Helper<S: 'static> {
    jobs: Option<Sender<Job<S>>>,
    thread: Option<JoinHandle<()>>,
}

impl<S: Send + 'static> Helper<S> {
    /// Starts a thread that owns `state`.
    pub fn new(mut state: S) -> Self {
        let (jobs, inbox): (Sender<Job<S>>, Receiver<Job<S>>) = channel();
        let thread = std::thread::spawn(move || inbox.into_iter().for_each(|job| job(&mut state)));
        Self { jobs: Some(jobs), thread: Some(thread) }
    }

    /// Starts `work` on the thread and returns where its result will be.
    fn start<R: Send + 'static>(&self, work: impl FnOnce(&mut S) -> R + Send + 'static) -> Receiver<R> {
        let (result, outbox) = channel();
        let job: Job<S> = Box::new(move |state| {
            // Nobody waits for the result if the caller was unwound.
            let _unheard = result.send(work(state));
        });
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        assert!(sent, "the thread of a benchmark has ended");
        outbox
    }

    /// Runs `work` on the thread and waits for its result.
    pub fn run<R: Send + 'static>(&self, work: impl FnOnce(&mut S) -> R + Send + 'static) -> R {
        finished(&self.start(work))
    }

    /// Runs `ours` here and `theirs` on the thread, both at once; returns the time from the start of the first to the end
    /// of the last.
    pub fn at_once(&self, ours: impl FnOnce(), theirs: impl FnOnce(&mut S) + Send + 'static) -> Duration {
        let meeting = Arc::new(Meeting::new());
        let there = Arc::clone(&meeting);
        let other = self.start(move |state| there.run(|| theirs(state)));
        let (start, end) = meeting.run(ours);
        let (other_start, other_end) = finished(&other);
        end.max(other_end) - start.min(other_start)
    }
}

/// Waits for the result of a thread's work.
fn finished<R>(outbox: &Receiver<R>) -> R {
    match outbox.recv() {
        Ok(result) => result,
        Err(RecvError) => panic!("the work of a benchmark's thread panicked"),
    }
}

impl<S> Drop for Helper<S> {
    /// Ends the thread, with its state, before the contestant's memory goes.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            debug_assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

/// Calls `look` until it finds something: over and over, then, where the other thread may be waiting for this core, with
/// the core given up in between.
#[inline(always)]
pub fn wait_until<R>(mut look: impl FnMut() -> Option<R>) -> R {
    const SPINS: u32 = 1024;
    let mut spins = 0;
    loop {
        if let Some(found) = look() {
            return found;
        }
        spins += 1;
        if spins < SPINS {
            core::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

/// Where two threads wait for each other: first asleep, then, when both are awake, by spinning.
struct Meeting {
    awake: Barrier,
    missing: AtomicUsize,
}

impl Meeting {
    fn new() -> Self {
        Self { awake: Barrier::new(2), missing: AtomicUsize::new(2) }
    }

    /// Waits for the other thread, runs `work`, and returns when it began and ended.
    fn run(&self, work: impl FnOnce()) -> (Instant, Instant) {
        self.awake.wait();
        // AcqRel: pairs with the Acquire loads below, so that neither starts before both are ready.
        self.missing.fetch_sub(1, Ordering::AcqRel);
        wait_until(|| (self.missing.load(Ordering::Acquire) == 0).then_some(()));
        let start = Instant::now();
        work();
        (start, Instant::now())
    }
}

#[cfg(test)]
mod tests;
