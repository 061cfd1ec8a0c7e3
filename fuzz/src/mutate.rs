//! Scripts: what random bytes do to a seed.

use std::fmt;

/// The bytes of a script that choose the seed.
pub(crate) const CHOICE: usize = 2;

/// The bytes of a script that make one change: what, where, and how.
pub(crate) const STEP: usize = 5;

/// No input grows beyond this, in bytes.
const LONGEST: usize = 8 * 1024;

/// Bytes at which parsers decide something.
const TURNING_POINTS: &[u8] = b"\0\t\n\r \"%&'+,-./:;=?@[\\]_{}\x7f\x80\xc0\xff";

/// An input for a parser. `Debug` shows it as a byte string to copy into a test.
#[derive(Clone, PartialEq, Eq)]
pub struct Input(pub Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Makes an input of the seeds: two bytes of the script choose one, every five more change it.
#[must_use]
pub fn mutate(seeds: &[&[u8]], words: &[&[u8]], script: &[u8]) -> Input {
    let (choice, steps) = script.split_at(script.len().min(CHOICE));
    let mut bytes = choose(seeds, number(choice)).unwrap_or_default().to_vec();
    for step in steps.chunks_exact(STEP) {
        let (place, detail) = (number(&step[1..3]), number(&step[3..5]));
        change(&mut bytes, step[0], place, detail, seeds, words);
        bytes.truncate(LONGEST);
    }
    Input(bytes)
}

fn change(bytes: &mut Vec<u8>, what: u8, place: usize, detail: usize, seeds: &[&[u8]], words: &[&[u8]]) {
    let low = detail.to_le_bytes()[0];
    let at = place % (bytes.len() + 1);
    // Most changes are of a few bytes; the end of a span is near its beginning.
    let end = (at + 1 + detail % 16).min(bytes.len());
    let word = choose(words, detail).unwrap_or_default();
    match what % 12 {
        0 => with_byte(bytes, at, |byte| *byte ^= 1 << (low % 8)),
        1 => with_byte(bytes, at, |byte| *byte = low),
        2 => with_byte(bytes, at, |byte| *byte = TURNING_POINTS[detail % TURNING_POINTS.len()]),
        3 => bytes.insert(at, TURNING_POINTS[detail % TURNING_POINTS.len()]),
        4 => bytes.insert(at, low),
        5 => bytes.truncate(at),
        6 => drop(bytes.drain(at..end)),
        7 => bytes.extend_from_within(at..end),
        8 => drop(bytes.splice(at..at, word.iter().copied())),
        9 => drop(bytes.splice(at..end, word.iter().copied())),
        10 => {
            // The head of one seed with the tail of another.
            let other = choose(seeds, detail).unwrap_or_default();
            let from = place % (other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        _ => {
            // A span again, a power of two times: bounds are reached so.
            let span = bytes[at..end].repeat(1 << (low % 8));
            drop(bytes.splice(at..at, span));
        }
    }
}

fn with_byte(bytes: &mut [u8], at: usize, change: impl FnOnce(&mut u8)) {
    if let Some(byte) = bytes.get_mut(at) {
        change(byte);
    }
}

fn choose<'a>(from: &[&'a [u8]], number: usize) -> Option<&'a [u8]> {
    from.get(number.checked_rem(from.len())?).copied()
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: &[&[u8]] = &[b"grant_type=password", b"scope=a+b"];

    fn made(script: &[u8]) -> String {
        String::from_utf8_lossy(&mutate(SEEDS, &[b"%00"], script).0).into_owned()
    }

    #[test]
    fn a_script_without_changes_is_its_seed() {
        assert_eq!(made(&[0, 0]), "grant_type=password");
        assert_eq!(made(&[0, 3]), "scope=a+b");
        assert_eq!(made(&[]), "grant_type=password");
    }

    #[test]
    fn each_change_does_what_it_is_for() {
        for (step, result) in [
            ([0, 0, 0, 0, 1], "qcope=a+b"),
            ([1, 0, 0, 0, b'X'], "Xcope=a+b"),
            ([2, 0, 0, 0, 1], "\tcope=a+b"),
            ([3, 0, 0, 0, 1], "\tscope=a+b"),
            ([4, 0, 0, 0, b'X'], "Xscope=a+b"),
            ([5, 0, 4, 0, 0], "scop"),
            ([6, 0, 0, 0, 1], "ope=a+b"),
            ([7, 0, 0, 0, 1], "scope=a+bsc"),
            ([8, 0, 6, 0, 0], "scope=%00a+b"),
            ([9, 0, 6, 0, 0], "scope=%00+b"),
            ([10, 0, 6, 0, 0], "scope=type=password"),
            ([11, 0, 0, 0, 1], "scscscope=a+b"),
        ] {
            let mut script = vec![0, 1];
            script.extend(step);
            assert_eq!(made(&script), result, "{step:?}");
        }
    }

    #[test]
    fn any_script_makes_a_bounded_input() {
        for what in 0..=u8::MAX {
            let script: Vec<u8> = (0..=200).map(|n: u8| n.wrapping_mul(what).wrapping_add(what)).collect();
            assert!(mutate(SEEDS, &[], &script).0.len() <= LONGEST);
            assert!(mutate(&[], &[b"x"], &script).0.len() <= LONGEST);
        }
    }

    #[test]
    fn an_input_shows_itself_as_a_byte_string() {
        assert_eq!(format!("{:?}", Input(b"a\"\n\xff".to_vec())), r#"b"a\"\n\xff""#);
    }
}
