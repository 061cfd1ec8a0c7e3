//! What is stored of people's passwords: hashes of our making, and imported ones until their owner logs in.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

/// The memory of the server's own argon2id, in KiB (OWASP's advice for argon2id, with the two below).
pub const MEMORY_KIB: u32 = 19_456;

/// The passes of the server's own argon2id.
pub const PASSES: u32 = 2;

/// The lanes of the server's own argon2id.
pub const LANES: u32 = 1;

/// The most memory of an imported argon2id, in KiB: 256 MiB.
const MAX_MEMORY_KIB: u32 = 262_144;

/// The most passes of an imported argon2id.
const MAX_PASSES: u32 = 16;

/// The most lanes of an imported argon2id.
const MAX_LANES: u32 = 16;

/// The most memory times passes, which is what takes the time: 7 times the server's own, about 100 ms. PHP's default is as much.
const MAX_WORK_KIB: u32 = 262_144;

/// The highest cost of an imported bcrypt, about 200 ms. PHP's default is as much.
const MAX_BCRYPT_COST: u8 = 12;

/// bcrypt's 22 characters of salt and 31 of hash. Some writers leave bits set that no byte has room for.
const BCRYPT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

/// The stored hash of a password. Redacted, never displayed; [`to_stored`](Self::to_stored) writes it.
///
/// One that was parsed costs no more than the bounds say: whoever may import a hash cannot make every login with it take minutes or
/// gigabytes, and its refusal comes no later than that of an unknown user, which the issuer holds back for 300 ms. For argon2id (RFC
/// 9106) these are 16 passes, 16 lanes, and 256 MiB as memory times passes; for bcrypt the costs 4 to 12.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordHash {
    /// argon2id, as a PHC string.
    Argon2id(Box<str>),
    /// bcrypt, `$2a$`, `$2b$` or `$2y$`: imported, it knows 72 bytes of a password.
    Bcrypt(Box<str>),
}

/// Why a text is not a password's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPasswordHash {
    /// Neither argon2id nor bcrypt.
    #[error("a password's hash begins with $argon2id$, $2a$, $2b$ or $2y$")]
    Kind,
    /// One of the two, but not well-formed.
    #[error("the password's hash is not well-formed")]
    Malformed,
    /// Outside the bounds of [`PasswordHash`].
    #[error(
        "the password's hash costs too much or too little: argon2id with at most m*t=262144, t=16 and p=16, bcrypt with 4 to 12"
    )]
    Cost,
}

impl PasswordHash {
    /// The form that is stored.
    #[must_use]
    pub fn to_stored(&self) -> String {
        match self {
            Self::Argon2id(text) | Self::Bcrypt(text) => text.to_string(),
        }
    }

    /// Whether the password is to be hashed anew once it is known: everything but argon2id with the server's own parameters.
    #[must_use]
    pub fn needs_upgrade(&self) -> bool {
        match self {
            Self::Argon2id(phc) => !phc.starts_with(&format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$")),
            Self::Bcrypt(_) => true,
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Argon2id(_) => "PasswordHash::Argon2id(…)",
            Self::Bcrypt(_) => "PasswordHash::Bcrypt(…)",
        })
    }
}

impl FromStr for PasswordHash {
    type Err = InvalidPasswordHash;

    fn from_str(text: &str) -> Result<Self, InvalidPasswordHash> {
        if let Some(rest) = text.strip_prefix("$argon2id$") {
            return check_argon2id(rest).map(|()| Self::Argon2id(text.into()));
        }
        let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|prefix| text.strip_prefix(prefix));
        let rest = rest.ok_or(InvalidPasswordHash::Kind)?;
        let canonical = canonical_bcrypt(rest)?;
        Ok(Self::Bcrypt(format!("{}{canonical}", &text[..4]).into()))
    }
}

/// `v=19$m=…,t=…,p=…$salt$hash`, as the reference implementation writes it (RFC 9106; PHC string format).
fn check_argon2id(rest: &str) -> Result<(), InvalidPasswordHash> {
    use InvalidPasswordHash as Bad;
    let fields: Vec<&str> = rest.split('$').collect();
    let &[version, parameters, salt, hash] = fields.as_slice() else { return Err(Bad::Malformed) };
    let parameters: Vec<&str> = parameters.split(',').collect();
    let &[memory, passes, lanes] = parameters.as_slice() else { return Err(Bad::Malformed) };
    let memory = number(memory, "m=").ok_or(Bad::Malformed)?;
    let passes = number(passes, "t=").ok_or(Bad::Malformed)?;
    let lanes = number(lanes, "p=").ok_or(Bad::Malformed)?;
    let long = |field: &str, from: usize, to: usize| {
        STANDARD_NO_PAD.decode(field).is_ok_and(|bytes| (from..=to).contains(&bytes.len()))
    };
    if !(version == "v=19" || version == "v=16") || !long(salt, 8, 48) || !long(hash, 16, 64) {
        return Err(Bad::Malformed);
    }
    let lanes_ok = (1..=MAX_LANES).contains(&lanes) && memory >= 8 * lanes;
    let bounded = memory <= MAX_MEMORY_KIB && (1..=MAX_PASSES).contains(&passes) && memory * passes <= MAX_WORK_KIB;
    if lanes_ok && bounded { Ok(()) } else { Err(Bad::Cost) }
}

/// A decimal number after its name, without sign and leading zeros.
fn number(field: &str, name: &str) -> Option<u32> {
    let digits = field.strip_prefix(name)?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}

/// `cost$salt-and-hash` without the bits that no byte has room for: readers are strict about them.
fn canonical_bcrypt(rest: &str) -> Result<String, InvalidPasswordHash> {
    use InvalidPasswordHash as Bad;
    let (cost, body) = rest.split_once('$').ok_or(Bad::Malformed)?;
    let two_digits = cost.len() == 2 && cost.bytes().all(|b| b.is_ascii_digit());
    if !two_digits || body.len() != 53 || !body.is_ascii() {
        return Err(Bad::Malformed);
    }
    let (salt, hash) = body.split_at(22);
    let salt = BCRYPT.decode(salt).map_err(|_| Bad::Malformed)?;
    let hash = BCRYPT.decode(hash).map_err(|_| Bad::Malformed)?;
    if !cost.parse().is_ok_and(|cost: u8| (4..=MAX_BCRYPT_COST).contains(&cost)) {
        return Err(Bad::Cost);
    }
    Ok(format!("{cost}${}{}", BCRYPT.encode(salt), BCRYPT.encode(hash)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use InvalidPasswordHash as Bad;

    const TAIL: &str = "c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    const BCRYPT_HASH: &str = "$2y$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe";

    fn argon2id(version: &str, parameters: &str) -> String {
        format!("$argon2id${version}${parameters}${TAIL}")
    }

    #[test]
    fn hashes_of_argon2id_and_bcrypt_read_back() {
        for good in [
            argon2id("v=19", "m=19456,t=2,p=1"),
            argon2id("v=19", "m=65536,t=4,p=1"),
            argon2id("v=16", "m=8,t=1,p=1"),
            argon2id("v=19", "m=262144,t=1,p=16"),
            BCRYPT_HASH.to_owned(),
            BCRYPT_HASH.replace("$2y$06", "$2a$04"),
            BCRYPT_HASH.replace("$2y$06", "$2b$12"),
        ] {
            assert_eq!(good.parse::<PasswordHash>().map(|hash| hash.to_stored()), Ok(good));
        }
    }

    #[test]
    fn a_hash_that_takes_longer_than_a_refusal_is_refused() {
        for bad in
            ["m=262145,t=1,p=1", "m=1024,t=17,p=1", "m=1024,t=1,p=17", "m=65537,t=4,p=1", "m=4294967295,t=16,p=1"]
        {
            assert_eq!(argon2id("v=19", bad).parse::<PasswordHash>(), Err(Bad::Cost), "{bad}");
        }
        for bad in ["m=0,t=1,p=1", "m=64,t=0,p=1", "m=64,t=1,p=0", "m=64,t=1,p=9"] {
            assert_eq!(argon2id("v=19", bad).parse::<PasswordHash>(), Err(Bad::Cost), "{bad}");
        }
        for bad in ["03", "13", "31", "99"] {
            let bad = BCRYPT_HASH.replace("$06$", &format!("${bad}$"));
            assert_eq!(bad.parse::<PasswordHash>(), Err(Bad::Cost), "{bad}");
        }
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for bad in ["", "plain", "$argon2i$v=19$m=64,t=1,p=1$x$y", "$2x$06$", "$2$06$", "$1$x", "sha256:x"] {
            assert_eq!(bad.parse::<PasswordHash>(), Err(Bad::Kind), "{bad}");
        }
        for bad in [
            argon2id("v=18", "m=64,t=1,p=1"),
            argon2id("v=19", "t=1,m=64,p=1"),
            argon2id("v=19", "m=64,t=1"),
            argon2id("v=19", "m=64,t=1,p=1,data=AA"),
            argon2id("v=19", "m=064,t=1,p=1"),
            argon2id("v=19", "m=+64,t=1,p=1"),
            argon2id("v=19", "m=99999999999,t=1,p=1"),
            format!("{}$", argon2id("v=19", "m=64,t=1,p=1")),
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$c2hvcnQ".to_owned(),
            "$argon2id$v=19$m=64,t=1,p=1$c2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc".to_owned(),
            BCRYPT_HASH[..59].to_owned(),
            format!("{BCRYPT_HASH}."),
            BCRYPT_HASH.replace("m0C", "m-C"),
            BCRYPT_HASH.replace("m0C", "mé"),
            BCRYPT_HASH.replace("$06$", "$+6$"),
        ] {
            assert_eq!(bad.parse::<PasswordHash>(), Err(Bad::Malformed), "{bad}");
        }
    }

    #[test]
    fn bits_of_bcrypt_that_no_byte_has_room_for_are_cleared() {
        // The salt's last character has two bits of use, and O and P share them.
        let stray = BCRYPT_HASH.replace("DGO3", "DGP3");
        assert_eq!(stray.parse::<PasswordHash>().map(|hash| hash.to_stored()).as_deref(), Ok(BCRYPT_HASH));
    }

    #[test]
    fn only_the_servers_own_parameters_need_no_upgrade() {
        let needs = |text: &str| text.parse::<PasswordHash>().expect("a hash").needs_upgrade();
        assert!(!needs(&argon2id("v=19", "m=19456,t=2,p=1")));
        assert!(needs(&argon2id("v=16", "m=19456,t=2,p=1")));
        assert!(needs(&argon2id("v=19", "m=19456,t=3,p=1")));
        assert!(needs(&argon2id("v=19", "m=65536,t=2,p=1")));
        assert!(needs(BCRYPT_HASH));
    }

    #[test]
    fn debug_shows_nothing() {
        let hash: PasswordHash = BCRYPT_HASH.parse().expect("a hash");
        assert_eq!(format!("{hash:?}"), "PasswordHash::Bcrypt(…)");
    }
}
