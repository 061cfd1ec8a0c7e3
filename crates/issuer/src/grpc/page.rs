//! Pages of lists: opaque tokens that carry the last key. One that is malformed is refused; one that names another key only starts
//! elsewhere, in a list the caller may read as a whole.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tonic::Status;

use super::wire;

/// How many entries a page has where nobody says.
const DEFAULT_SIZE: u64 = 50;

/// The most entries of a page.
const MAX_SIZE: u64 = 1000;

/// What a list is asked for.
pub(super) struct Page {
    /// How many entries.
    pub(super) size: u64,
    /// The key after which they start.
    pub(super) after: Option<String>,
}

impl Page {
    /// Reads the fields of a request.
    pub(super) fn read(size: i32, token: &str) -> Result<Self, Status> {
        let size = match u64::try_from(size) {
            Ok(0) => DEFAULT_SIZE,
            Ok(size) => size.min(MAX_SIZE),
            Err(_) => return Err(wire::invalid("page_size", "A page size is 0 to 1000.")),
        };
        Ok(Self { size, after: key(token)? })
    }

    /// Refuses a page token.
    pub(super) fn refused() -> Status {
        wire::invalid("page_token", "The page token is not one of this server's. Start again without one.")
    }

    /// Splits what was read with one entry too many into the page and the token of the next.
    pub(super) fn cut<T>(&self, mut entries: Vec<T>, key: impl Fn(&T) -> &str) -> (Vec<T>, String) {
        let wanted = usize::try_from(self.size).unwrap_or(usize::MAX);
        if entries.len() <= wanted {
            return (entries, String::new());
        }
        entries.truncate(wanted);
        let next = entries.last().map(|last| token(key(last))).unwrap_or_default();
        (entries, next)
    }
}

fn token(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("1:{key}"))
}

fn key(token: &str) -> Result<Option<String>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Page::refused())?;
    let text = String::from_utf8(bytes).map_err(|_| Page::refused())?;
    text.strip_prefix("1:").map(|key| Some(key.to_owned())).ok_or_else(Page::refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_a_changed_one_is_refused() {
        assert_eq!(key(&token("a' OR 1=1 --")).expect("own token"), Some("a' OR 1=1 --".to_owned()));
        for bad in ["x", "%27", "MTo=", "Mjph"] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_page_is_cut_where_there_is_more() {
        let page = Page::read(2, "").expect("valid");
        let (entries, next) = page.cut(vec!["a", "b", "c"], |e| e);
        assert_eq!((entries, key(&next).expect("own token")), (vec!["a", "b"], Some("b".to_owned())));
        assert_eq!(page.cut(vec!["a", "b"], |e| e).1, "");
        assert!(Page::read(-1, "").is_err());
    }
}
