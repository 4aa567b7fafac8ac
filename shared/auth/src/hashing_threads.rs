//! Threads of their own for Argon2, one for each processor.
//!
//! On one machine the environments of a function share a process. Were each to hash on a thread of its own, as many hashes
//! would be computed side by side as there are environments: no faster, but with memory for each, and with everybody who
//! has little to do waiting for a processor. These threads are few, and yield to everybody else. Each keeps its memory from
//! one hash to the next: an allocator that is given blocks of 19 MiB to carve small ones out of them would soon hold
//! several for each thread.

use std::{
    num::NonZero,
    panic::AssertUnwindSafe,
    sync::{Arc, LazyLock, Mutex, PoisonError, mpsc},
    thread,
};

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit, oneshot};

/// How much the threads yield: the kernel gives them about a tenth of what others get, and all that is left.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// Argon2's working memory.
pub(crate) type Memory = Vec<argon2::Block>;

struct Threads {
    jobs: mpsc::Sender<Job>,
    /// Threads that have nothing to do. Jobs wait here, in order, and not in the channel: whoever goes away while waiting
    /// leaves no work behind.
    idle: Semaphore,
}

static THREADS: LazyLock<Threads> = LazyLock::new(Threads::start);

impl Threads {
    fn start() -> Self {
        let (jobs, received) = mpsc::channel::<Job>();
        let received = Arc::new(Mutex::new(received));
        let wanted = thread::available_parallelism().map_or(1, NonZero::get);
        let started = (0..wanted).filter(|_| {
            let received = Arc::clone(&received);
            thread::Builder::new().name("password".to_owned()).spawn(move || work(&received)).is_ok()
        });
        let idle = Semaphore::new(started.count());
        Self { jobs, idle }
    }
}

fn work(jobs: &Mutex<mpsc::Receiver<Job>>) {
    #[cfg(target_os = "linux")]
    // Of this thread alone, on Linux. Should it be refused, the thread competes like any other.
    let _ = rustix::process::setpriority_process(None, NICE);
    let mut memory = Memory::new();
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // Whoever waits for a job that panicked hears of it.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| job(&mut memory)));
    }
}

/// A thread that has nothing else to do.
pub(crate) struct Turn(SemaphorePermit<'static>);

impl Turn {
    /// Waits for one.
    pub async fn wait() -> Result<Self, AcquireError> {
        THREADS.idle.acquire().await.map(Self)
    }

    /// Runs `work` on it; `None` when it panicked.
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce(&mut Memory) -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |memory: &mut Memory| {
            let done = work(memory);
            // The thread is free before the answer is out.
            drop(self.0);
            // Whoever asked may be gone.
            let _ = answer.send(done);
        });
        THREADS.jobs.send(job).ok()?;
        answered.await.ok()
    }
}
