use super::*;
use tessera_testkit::MockClock;

const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

fn throttle() -> (Arc<MockClock>, LoginThrottle) {
    let clock = Arc::new(MockClock::default());
    let throttle = LoginThrottle::new(Arc::clone(&clock) as Arc<dyn Clock>);
    (clock, throttle)
}

fn attempt(who: &str, from: Option<IpAddr>) -> Attempt {
    Attempt { who: who.to_owned(), from, relayed: false }
}

fn ip(address: &str) -> IpAddr {
    address.parse().expect("an address")
}

/// One that a server relays, which is not counted by network.
fn relayed(who: &str) -> Attempt {
    Attempt { relayed: true, ..attempt(who, HERE) }
}

fn fail(throttle: &LoginThrottle, times: u32) {
    for _ in 0..times {
        throttle.failed(&attempt("ada", HERE));
    }
}

fn wait(throttle: &LoginThrottle) -> u64 {
    throttle.admit(&attempt("ada", HERE)).err().map_or(0, |TooMany(wait)| wait.as_secs())
}

#[test]
fn the_10th_15th_20th_and_every_later_failure_block() {
    let (clock, throttle) = throttle();
    for failure in 1..=23 {
        fail(&throttle, 1);
        let expected = match failure {
            10 => 10,
            15 => 30,
            20.. => 60,
            _ => 0,
        };
        assert_eq!(wait(&throttle), expected, "after {failure} failures");
        clock.advance(Duration::from_secs(expected));
        assert_eq!(wait(&throttle), 0, "after the wait of {failure} failures");
    }
}

#[test]
fn a_wait_is_at_least_a_second_and_ends_on_time() {
    let (clock, throttle) = throttle();
    fail(&throttle, 10);
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(throttle.admit(&attempt("ada", HERE)), Err(TooMany(Duration::from_secs(1))));
    clock.advance(Duration::from_millis(1));
    assert_eq!(throttle.admit(&attempt("ada", HERE)), Ok(()));
}

#[test]
fn a_failure_within_a_block_does_not_shorten_it() {
    let (_, throttle) = throttle();
    fail(&throttle, 11);
    assert_eq!(wait(&throttle), 10);
}

#[test]
fn success_forgets_the_failures() {
    let (_, throttle) = throttle();
    fail(&throttle, 9);
    throttle.succeeded(&attempt("ada", HERE));
    fail(&throttle, 9);
    assert_eq!(wait(&throttle), 0);
    fail(&throttle, 1);
    assert_eq!(wait(&throttle), 10);
}

#[test]
fn an_hour_of_rest_forgets_the_failures() {
    let (clock, throttle) = throttle();
    fail(&throttle, 9);
    clock.advance(REST);
    fail(&throttle, 9);
    assert_eq!(wait(&throttle), 0);
    clock.advance(REST.saturating_sub(Duration::from_secs(1)));
    fail(&throttle, 1);
    assert_eq!(wait(&throttle), 10);
}

#[test]
fn one_network_has_one_counter_and_another_its_own() {
    let (_, throttle) = throttle();
    for host in 0..10 {
        throttle.failed(&attempt("ada", Some(ip(&format!("2001:db8::{host:x}")))));
    }
    assert!(throttle.admit(&attempt("ada", Some(ip("2001:db8::ffff")))).is_err());
    assert!(throttle.admit(&attempt("ada", Some(ip("2001:db8:0:1::1")))).is_ok());
    assert!(throttle.admit(&attempt("grace", Some(ip("2001:db8::1")))).is_ok());
    assert!(throttle.admit(&attempt("ada", HERE)).is_ok());
    assert!(throttle.admit(&attempt("ada", None)).is_ok());
}

#[test]
fn pairs_without_number_take_no_more_room_and_block_nobody_else() {
    let (clock, throttle) = throttle();
    for pair in 0..MOST {
        clock.advance(Duration::from_millis(1));
        throttle.failed(&relayed(&pair.to_string()));
    }
    fail(&throttle, 10);
    assert!(throttle.lock().0.len() <= MOST);
    assert_eq!(wait(&throttle), 10, "the latest are kept");
    for pair in 0..MOST / 4 {
        throttle.failed(&relayed(&format!("more {pair}")));
    }
    assert_eq!(wait(&throttle), 10, "a further quarter pushes out none of them");
    assert!(throttle.admit(&attempt("somebody", HERE)).is_ok());
    clock.advance(REST);
    for pair in 0..=MOST {
        throttle.failed(&relayed(&format!("later {pair}")));
    }
    assert!(throttle.lock().0.len() <= MOST);
}

#[test]
fn one_password_for_everybody_is_stopped_by_network() {
    let (clock, throttle) = throttle();
    for person in 0..NETWORK_BURST {
        assert_eq!(throttle.admit(&attempt(&person.to_string(), HERE)), Ok(()), "guess {person}");
        throttle.failed(&attempt(&person.to_string(), HERE));
    }
    assert_eq!(throttle.admit(&attempt("one more", HERE)), Err(TooMany(NETWORK_REFILL)));
    assert!(throttle.admit(&attempt("one more", Some(ip("192.0.2.1")))).is_ok(), "others are not locked out");
    throttle.succeeded(&attempt("mallory", HERE));
    assert!(throttle.admit(&attempt("one more", HERE)).is_err(), "an account of one's own buys nothing");
    clock.advance(NETWORK_REFILL);
    assert!(throttle.admit(&attempt("one more", HERE)).is_ok());
}

#[test]
fn a_site_of_many_networks_is_one_network_for_everybody_together() {
    let (_, throttle) = throttle();
    for person in 0..NETWORK_BURST {
        throttle.failed(&attempt(&person.to_string(), Some(ip(&format!("2001:db8:0:{person:x}::1")))));
    }
    assert!(throttle.admit(&attempt("ada", Some(ip("2001:db8:0:ffff::1")))).is_err());
    assert!(throttle.admit(&attempt("ada", Some(ip("2001:db8:1::1")))).is_ok());
}

#[test]
fn a_server_that_relays_logins_is_not_stopped_by_its_users_mistakes() {
    let (_, throttle) = throttle();
    for person in 0..NETWORK_BURST * 2 {
        throttle.failed(&relayed(&person.to_string()));
    }
    assert_eq!(throttle.admit(&relayed("ada")), Ok(()));
    assert_eq!(throttle.admit(&attempt("ada", HERE)), Ok(()), "nor is anybody else there");
}

#[test]
fn guesses_from_many_networks_are_slowed_and_lock_nobody_out() {
    let (clock, throttle) = throttle();
    let elsewhere = attempt("ada", Some(ip("203.0.113.1")));
    for host in 0..PERSON_BURST {
        assert_eq!(throttle.delay(&elsewhere), Duration::ZERO, "after {host} failures");
        throttle.failed(&attempt("ada", Some(ip(&format!("192.0.2.{host}")))));
    }
    assert_eq!((throttle.delay(&elsewhere), throttle.admit(&elsewhere)), (DELAY, Ok(())));
    assert_eq!(throttle.delay(&attempt("grace", HERE)), Duration::ZERO);
    throttle.succeeded(&elsewhere);
    assert_eq!(throttle.delay(&elsewhere), DELAY, "one right password is no end of the guessing");
    clock.advance(PERSON_REFILL);
    assert_eq!(throttle.delay(&elsewhere), Duration::ZERO);
}
