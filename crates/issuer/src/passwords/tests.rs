use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use futures::poll;
use rstest::rstest;
use tessera_testkit::SeededRandom;

use super::*;

type Answer = Pin<Box<dyn Future<Output = Result<Checked, PasswordError>>>>;

fn passwords(at_once: usize) -> Passwords {
    Passwords::new("test", at_once, &SeededRandom::new(1)).expect("a pool")
}

fn secret(text: &str) -> PresentedSecret {
    PresentedSecret::new(text.to_owned()).expect("not empty")
}

/// A hash that nobody can read: whoever looks at it fails.
fn unreadable() -> PasswordHash {
    PasswordHash::Argon2id("$argon2id$".into())
}

/// Asks for a check whose hash is never reached; it is queued at the first poll.
fn ask(passwords: &Passwords, admit: impl FnOnce() -> bool + Send + 'static) -> Answer {
    let passwords = passwords.clone();
    Box::pin(async move { passwords.verify_password(None, &secret("x"), admit, |_| ()).await })
}

/// Keeps a thread until told. Returns once the thread is taken.
async fn keep_a_thread(passwords: &Passwords) -> (Answer, Sender<()>) {
    let (taken, is_taken): (Sender<()>, Receiver<()>) = channel();
    let (release, released) = channel();
    let mut kept = ask(passwords, move || {
        taken.send(()).expect("the test waits");
        released.recv().expect("the test releases");
        false
    });
    assert!(poll!(&mut kept).is_pending());
    is_taken.recv().expect("a thread takes it");
    (kept, release)
}

#[tokio::test]
async fn a_password_matches_its_own_hash_alone() {
    let passwords = passwords(1);
    let stored = passwords.hash_password(&secret("correct"), &SeededRandom::new(2)).await.expect("a hash");
    assert!(!stored.needs_upgrade());
    assert_eq!(stored.to_stored().parse(), Ok(stored.clone()));
    for (presented, expected) in [("correct", Checked::Matched), ("wrong", Checked::Wrong)] {
        let checked = passwords.verify_password(Some(&stored), &secret(presented), || true, |_| ()).await;
        assert_eq!(checked.expect("an answer"), expected, "{presented}");
    }
}

#[rstest]
#[case("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a")]
#[case("$2y$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a")]
#[case("$2b$06$m0CrhHm10qJ3lXRY.5zDGP3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a")]
// The reference implementation's own example.
#[case("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password")]
#[tokio::test]
async fn imported_hashes_verify(#[case] stored: &str, #[case] password: &str) {
    let passwords = passwords(1);
    let stored: PasswordHash = stored.parse().expect("a hash");
    assert!(stored.needs_upgrade());
    for (presented, expected) in [(password, Checked::Matched), ("b", Checked::Wrong)] {
        let checked = passwords.verify_password(Some(&stored), &secret(presented), || true, |_| ()).await;
        assert_eq!(checked.expect("an answer"), expected, "{presented}");
    }
}

#[tokio::test]
async fn bcrypt_knows_72_bytes_of_a_password() {
    let long = "x".repeat(80);
    let stored = bcrypt::hash_with_salt(&long, 4, [7; 16]).expect("a hash").to_string();
    let stored: PasswordHash = stored.parse().expect("a hash");
    let checked = passwords(1).verify_password(Some(&stored), &secret(&long[..72]), || true, |_| ()).await;
    assert_eq!(checked.expect("an answer"), Checked::Matched);
}

#[tokio::test]
async fn an_unknown_person_costs_a_hash_and_is_wrong() {
    let mut passwords = passwords(1);
    let checked = passwords.verify_password(None, &secret("x"), || true, |_| ()).await;
    assert_eq!(checked.expect("an answer"), Checked::Wrong);
    passwords.decoy = unreadable().to_stored().into();
    let checked = passwords.verify_password(None, &secret("x"), || true, |_| ()).await;
    assert!(matches!(checked, Err(PasswordError::Hash(_))), "the decoy is looked at: {checked:?}");
}

#[tokio::test]
async fn nothing_is_looked_at_that_the_throttle_does_not_admit() {
    let checked = passwords(1).verify_password(Some(&unreadable()), &secret("x"), || false, |_| ()).await;
    assert_eq!(checked.expect("an answer"), Checked::NotAdmitted);
}

#[tokio::test]
async fn a_failure_is_counted_before_its_thread_takes_the_next_guess() {
    let passwords = passwords(1);
    let (kept, release) = keep_a_thread(&passwords).await;
    let failed = Arc::new(AtomicBool::new(false));
    let guess = || {
        let (passwords, seen, counted) = (passwords.clone(), Arc::clone(&failed), Arc::clone(&failed));
        let admit = move || !seen.load(Ordering::SeqCst);
        let count = move |matched: bool| counted.store(!matched, Ordering::SeqCst);
        Box::pin(async move { passwords.verify_password(None, &secret("x"), admit, count).await })
    };
    let (mut first, mut second) = (guess(), guess());
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending(), "they were sent at once");
    release.send(()).expect("the thread waits");
    // The first one's caller is not told before the second one is decided.
    assert_eq!(second.await.expect("an answer"), Checked::NotAdmitted);
    assert_eq!(first.await.expect("an answer"), Checked::Wrong);
    kept.await.expect("an answer");
}

#[tokio::test]
async fn a_client_secret_matches_its_own_hash_alone() {
    let passwords = passwords(2);
    let hash = passwords.hash(&secret("correct"), &SeededRandom::new(2)).await.expect("a hash");
    let stored = hash.to_stored();
    assert!(passwords.verify(Some(&stored), &secret("correct")).await.expect("an answer"));
    assert!(!passwords.verify(Some(&stored), &secret("wrong")).await.expect("an answer"));
    assert!(!passwords.verify(None, &secret("correct")).await.expect("an answer"));
}

#[tokio::test]
async fn over_the_bound_a_check_is_refused_until_a_caller_hangs_up() {
    let passwords = passwords(1);
    let (kept, release) = keep_a_thread(&passwords).await;
    let mut waiting: Vec<Answer> = (0..QUEUE_PER_THREAD).map(|_| ask(&passwords, || false)).collect();
    for answer in &mut waiting {
        assert!(poll!(answer).is_pending());
    }
    assert!(matches!(ask(&passwords, || false).await, Err(PasswordError::Busy)));
    waiting.pop();
    let mut next = ask(&passwords, || false);
    assert!(poll!(&mut next).is_pending(), "it has the place");
    assert!(matches!(ask(&passwords, || false).await, Err(PasswordError::Busy)));
    release.send(()).expect("the thread waits");
    assert_eq!(kept.await.expect("an answer"), Checked::NotAdmitted);
    for answer in waiting {
        assert_eq!(answer.await.expect("an answer"), Checked::NotAdmitted);
    }
    assert_eq!(next.await.expect("an answer"), Checked::NotAdmitted);
}

#[tokio::test]
async fn a_check_whose_caller_hung_up_is_skipped() {
    let passwords = passwords(1);
    let (kept, release) = keep_a_thread(&passwords).await;
    let asked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&asked);
    let mut hung_up = ask(&passwords, move || {
        seen.store(true, Ordering::SeqCst);
        false
    });
    assert!(poll!(&mut hung_up).is_pending());
    drop(hung_up);
    let mut after = ask(&passwords, || false);
    assert!(poll!(&mut after).is_pending());
    release.send(()).expect("the thread waits");
    kept.await.expect("an answer");
    after.await.expect("an answer");
    assert!(!asked.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_free_the_thread_it_uses() {
    let passwords = passwords(1);
    let (kept, release) = keep_a_thread(&passwords).await;
    drop(kept);
    let released = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&released);
    let mut next = ask(&passwords, move || !seen.load(Ordering::SeqCst));
    assert!(poll!(&mut next).is_pending());
    released.store(true, Ordering::SeqCst);
    release.send(()).expect("the thread still waits");
    assert_eq!(next.await.expect("an answer"), Checked::NotAdmitted, "it did not begin before");
}

#[tokio::test]
async fn a_flood_of_logins_does_not_fill_the_queue_of_client_secrets() {
    let (logins, secrets) = (passwords(1), passwords(1));
    let (_kept, release) = keep_a_thread(&logins).await;
    let mut waiting: Vec<Answer> = (0..QUEUE_PER_THREAD).map(|_| ask(&logins, || false)).collect();
    for answer in &mut waiting {
        assert!(poll!(answer).is_pending());
    }
    assert!(matches!(ask(&logins, || false).await, Err(PasswordError::Busy)));
    assert!(!secrets.verify(None, &secret("x")).await.expect("an answer"));
    release.send(()).expect("the thread waits");
}
