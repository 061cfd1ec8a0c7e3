//! Several key-encryption keys, so that one can be exchanged for another while what it has sealed is in use: the first seals, each opens.

use tessera_types::Randomness;
use zeroize::Zeroizing;

use crate::sealed::{Kek, KekId, SealError};

/// The KEKs there are; at least one.
#[derive(Debug)]
pub struct KekRing {
    first: Kek,
    older: Vec<Kek>,
}

impl KekRing {
    /// The first seals; the older ones open what they have sealed.
    #[must_use]
    pub fn new(first: Kek, older: Vec<Kek>) -> Self {
        Self { first, older }
    }

    /// The one that seals.
    #[must_use]
    pub fn first(&self) -> &Kek {
        &self.first
    }

    /// The one of an id.
    #[must_use]
    pub fn find(&self, id: KekId) -> Option<&Kek> {
        std::iter::once(&self.first).chain(&self.older).find(|kek| kek.id() == id)
    }

    /// Seals bytes under the first.
    ///
    /// # Errors
    /// See [`Kek::seal`].
    pub fn seal(&self, random: &dyn Randomness, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        self.first.seal(random, aad, plaintext)
    }

    /// Opens bytes under the one they were sealed with.
    ///
    /// # Errors
    /// [`SealError::OtherKek`] where that is none of these; see [`Kek::open`].
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let id = KekId::of(sealed).ok_or(SealError::Unknown)?;
        self.find(id).ok_or(SealError::OtherKek)?.open(aad, sealed)
    }

    /// Seals anew, under the first, what an older one has sealed; `None` where the first has.
    ///
    /// # Errors
    /// As [`KekRing::open`].
    pub fn rewrap(&self, random: &dyn Randomness, aad: &[u8], sealed: &[u8]) -> Result<Option<Vec<u8>>, SealError> {
        // Opened in any case: what is altered is not to pass for what the first has sealed.
        let opened = self.open(aad, sealed)?;
        if KekId::of(sealed) == Some(self.first.id()) {
            return Ok(None);
        }
        self.seal(random, aad, &opened).map(Some)
    }
}

impl From<Kek> for KekRing {
    fn from(kek: Kek) -> Self {
        Self::new(kek, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same every time.
    struct Fixed;

    impl Randomness for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }

    fn kek(byte: u8) -> Kek {
        Kek::from_bytes(&[byte; 32]).expect("a key")
    }

    #[test]
    fn the_first_seals_and_each_opens_what_it_has_sealed() {
        let before = KekRing::from(kek(1));
        let sealed = before.seal(&Fixed, b"row", b"secret").expect("sealed");
        let both = KekRing::new(kek(2), vec![kek(1)]);
        assert_eq!(*both.open(b"row", &sealed).expect("opens"), b"secret");
        assert_eq!(both.open(b"another row", &sealed), Err(SealError::Altered));
        let anew = both.seal(&Fixed, b"row", b"secret").expect("sealed");
        assert_eq!(KekId::of(&anew), Some(kek(2).id()));
        assert_eq!(before.open(b"row", &anew), Err(SealError::OtherKek));
        assert_eq!(both.open(b"row", b"short"), Err(SealError::Unknown));
    }

    #[test]
    fn what_was_rewrapped_needs_the_older_one_no_more() {
        let sealed = KekRing::from(kek(1)).seal(&Fixed, b"row", b"secret").expect("sealed");
        let both = KekRing::new(kek(2), vec![kek(1)]);
        let anew = both.rewrap(&Fixed, b"row", &sealed).expect("opens").expect("by the older one");
        assert_eq!(*KekRing::from(kek(2)).open(b"row", &anew).expect("opens"), b"secret");
        assert_eq!(both.rewrap(&Fixed, b"row", &anew).expect("opens"), None, "again there is nothing to do");
        let mut altered = anew;
        *altered.last_mut().expect("bytes") ^= 1;
        assert_eq!(both.rewrap(&Fixed, b"row", &altered), Err(SealError::Altered));
        assert_eq!(KekRing::from(kek(2)).rewrap(&Fixed, b"row", &sealed), Err(SealError::OtherKek));
        let zeroes = "00".repeat(8);
        assert!(kek(1).id().to_string().len() == 16 && kek(1).id().to_string() != zeroes);
    }
}
