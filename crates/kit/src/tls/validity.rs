//! From when until when a certificate is good (RFC 5280 section 4.1.2.5).
//!
//! rustls checks it of others' certificates but gives out nothing of it; of our own nobody checks it. What is read here was parsed by
//! webpki before.

use std::fmt;

use tessera_types::Timestamp;
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, Time};

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT Version`.
const VERSION: u8 = 0xa0;

/// A moment as people read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp(self.0.0).ok().and_then(|moment| moment.format(&Rfc3339).ok());
        match text {
            Some(text) => f.write_str(&text),
            None => write!(f, "{}", self.0.0),
        }
    }
}

/// Both ends, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl Validity {
    /// Reads it; `None` where the certificate is none.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = element(certificate, SEQUENCE)?;
        let (mut rest, _) = element(certificate, SEQUENCE)?;
        if rest.first() == Some(&VERSION) {
            rest = element(rest, VERSION)?.1;
        }
        // Serial number, algorithm, issuer.
        for tag in [INTEGER, SEQUENCE, SEQUENCE] {
            rest = element(rest, tag)?.1;
        }
        let (validity, _) = element(rest, SEQUENCE)?;
        let (not_before, rest) = moment(validity)?;
        let (not_after, _) = moment(rest)?;
        Some(Self { not_before, not_after })
    }
}

/// Whether a certificate has extensions, such as a subject alternative name, at all (RFC 5280 section 4.1.2.1).
pub(super) fn is_version_3(certificate: &[u8]) -> bool {
    let version = || {
        let (certificate, _) = element(certificate, SEQUENCE)?;
        let (fields, _) = element(certificate, SEQUENCE)?;
        let (version, _) = element(fields, VERSION)?;
        Some(element(version, INTEGER)?.0)
    };
    version() == Some(&[2])
}

/// The contents of the first element, which must have this tag, and what follows it (X.690 section 8.1).
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        ..=0x7f => (usize::from(*length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    (*first == tag).then(|| rest.split_at_checked(length)).flatten()
}

fn moment(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let tag = *bytes.first()?;
    let (text, rest) = element(bytes, tag)?;
    let digits = |from: usize, to: usize| std::str::from_utf8(text.get(from..to)?).ok()?.parse::<u16>().ok();
    let (year, at) = match tag {
        // RFC 5280 section 4.1.2.5.1: two digits count from 1950.
        UTC_TIME => (digits(0, 2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?, 2),
        GENERALIZED_TIME => (digits(0, 4)?, 4),
        _ => return None,
    };
    let part = |index: usize| digits(at + 2 * index, at + 2 * index + 2).and_then(|part| u8::try_from(part).ok());
    let month = Month::try_from(part(0)?).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, part(1)?).ok()?;
    let time = Time::from_hms(part(2)?, part(3)?, part(4)?).ok()?;
    Some((Timestamp(OffsetDateTime::new_utc(date, time).unix_timestamp()), rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn both_forms_of_time_are_read() {
        let key = KeyPair::generate().expect("a key");
        for (from, to) in
            [((2026, 1, 2), (2049, 12, 31)), ((1999, 12, 31), (2050, 1, 1)), ((2050, 2, 28), (9999, 1, 1))]
        {
            let mut params = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
            params.not_before = date_time_ymd(from.0, from.1, from.2);
            params.not_after = date_time_ymd(to.0, to.1, to.2);
            let expected = [params.not_before, params.not_after].map(|moment| Timestamp(moment.unix_timestamp()));
            let certificate = params.self_signed(&key).expect("a certificate");
            let validity = Validity::of(certificate.der()).expect("read");
            assert_eq!([validity.not_before, validity.not_after], expected);
        }
    }

    #[test]
    fn what_is_cut_short_is_nothing() {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
        let der = params.self_signed(&key).expect("a certificate").der().to_vec();
        for length in 0..der.len() {
            assert_eq!(Validity::of(&der[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_moment_reads_as_a_date() {
        assert_eq!(Moment(Timestamp(1_800_000_000)).to_string(), "2027-01-15T08:00:00Z");
    }
}
