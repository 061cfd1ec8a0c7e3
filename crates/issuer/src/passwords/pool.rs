//! Threads of their own for the slow hash, at a lower priority, behind a bounded queue.
//!
//! Not the runtime's blocking threads: these have the priority of everything else, and a flood of logins would take as much of a
//! core as token issuing does. At a lower priority it takes what issuing leaves.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::process::{getpriority_process, setpriority_process};
use rustix::thread::gettid;
use tokio::sync::oneshot;

use super::PasswordError;

/// How much nicer than the rest of the process the threads are: a tenth of its weight where both want a core.
const NICER: i32 = 10;

/// The nicest there is.
const NICEST: i32 = 19;

/// The threads. They end when the last handle is dropped; what they are at is finished.
#[derive(Clone)]
pub(super) struct Pool(Arc<Owner>);

struct Owner(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    bound: usize,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Box<dyn Task>>,
    closed: bool,
}

trait Task: Send {
    /// Whether nobody waits for the answer any more.
    fn abandoned(&self) -> bool;
    fn run(self: Box<Self>);
}

struct Asked<T, W> {
    work: W,
    answer: oneshot::Sender<T>,
}

impl<T: Send, W: FnOnce() -> T + Send> Task for Asked<T, W> {
    fn abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(self: Box<Self>) {
        let Self { work, answer } = *self;
        // Refused where the caller hung up meanwhile.
        let _ = answer.send(work());
    }
}

impl Pool {
    /// Starts the threads. A task above the bound is refused.
    ///
    /// # Errors
    /// `Threads` where the operating system gives none.
    pub(super) fn start(
        name: &str,
        threads: usize,
        bound: usize,
    ) -> Result<(Self, Vec<JoinHandle<()>>), PasswordError> {
        let shared = Arc::new(Shared { queue: Mutex::default(), wake: Condvar::new(), bound });
        // First of all: where a later thread is refused, the earlier ones end with it.
        let pool = Self(Arc::new(Owner(Arc::clone(&shared))));
        let start = |number| {
            let shared = Arc::clone(&shared);
            let named = std::thread::Builder::new().name(format!("{name}-{number}"));
            named.spawn(move || shared.serve()).map_err(PasswordError::Threads)
        };
        let threads = (0..threads).map(start).collect::<Result<_, _>>()?;
        Ok((pool, threads))
    }

    /// Does the work on one of the threads. Where the caller hangs up before it began, it is not done.
    ///
    /// # Errors
    /// `Busy` over the bound, `Gone` where the work panics.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (answer, answered) = oneshot::channel();
        self.0.0.push(Box::new(Asked { work, answer }))?;
        answered.await.map_err(|_| PasswordError::Gone)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.wake.notify_all();
    }
}

impl Shared {
    fn push(&self, task: Box<dyn Task>) -> Result<(), PasswordError> {
        let mut queue = self.lock();
        if queue.tasks.len() >= self.bound {
            // Whoever calls and hangs up again and again takes no places from those who wait.
            queue.tasks.retain(|task| !task.abandoned());
        }
        if queue.tasks.len() >= self.bound {
            return Err(PasswordError::Busy);
        }
        queue.tasks.push_back(task);
        drop(queue);
        self.wake.notify_one();
        Ok(())
    }

    fn serve(&self) {
        if let Err(error) = step_back() {
            tracing::warn!(error = %error, "password checks run at the priority of everything else");
        }
        while let Some(task) = self.next() {
            if task.abandoned() {
                continue;
            }
            // The caller is told by its channel; the thread goes on.
            if catch_unwind(AssertUnwindSafe(|| task.run())).is_err() {
                tracing::error!("a password check died");
            }
        }
    }

    /// The next task; None once the pool is closed.
    fn next(&self) -> Option<Box<dyn Task>> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(task) = queue.tasks.pop_front() {
                return Some(task);
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lowers the calling thread's priority: on Linux that is a thread's own.
fn step_back() -> rustix::io::Result<()> {
    let thread = Some(gettid());
    let priority = getpriority_process(thread)?;
    setpriority_process(thread, (priority + NICER).min(NICEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priority() -> i32 {
        getpriority_process(Some(gettid())).expect("a priority")
    }

    #[tokio::test]
    async fn the_threads_are_named_and_nicer_than_the_rest_of_the_process() {
        let (pool, _) = Pool::start("logins", 1, 1).expect("a pool");
        let name = || std::thread::current().name().map(str::to_owned);
        assert_eq!(pool.run(name).await.expect("an answer").as_deref(), Some("logins-0"));
        assert_eq!(pool.run(priority).await.expect("an answer"), (priority() + NICER).min(NICEST));
    }

    #[tokio::test]
    async fn a_panic_costs_its_caller_the_answer_and_nobody_a_thread() {
        let (pool, threads) = Pool::start("logins", 1, 1).expect("a pool");
        let died = pool.run(|| -> u8 { panic!("as meant") }).await;
        assert!(matches!(died, Err(PasswordError::Gone)), "{died:?}");
        assert_eq!(pool.run(|| 7).await.expect("an answer"), 7);
        assert!(!threads[0].is_finished());
    }

    #[tokio::test]
    async fn the_threads_end_with_the_last_handle() {
        let (pool, threads) = Pool::start("logins", 2, 1).expect("a pool");
        let other = pool.clone();
        drop(pool);
        assert_eq!(other.run(|| 7).await.expect("an answer"), 7);
        drop(other);
        for thread in threads {
            thread.join().expect("ended");
        }
    }
}
