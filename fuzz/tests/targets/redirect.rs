//! Redirect URIs: the first line is registered, the second presented. What matches leads to the same place, as the parser
//! browsers' rules are written for sees it.

use tessera_fuzz::Seeds;
use tessera_types::RedirectUri;
use url::{Position, Url};

const WORDS: &[&[u8]] = &[
    b"http://127.0.0.1",
    b"http://[::1]",
    b"http://localhost",
    b"https://",
    b"evil.example",
    b"@",
    b":80",
    b":080",
    b":0",
    b":65535",
    b":65536",
    b"%2f",
    b"%40",
    b"\\",
    b"/..",
    b"#",
    b"?",
    b"\t",
    b"\n",
];

fn seeds() -> Seeds {
    Seeds::load("redirect", WORDS).expect("seeds")
}

fn property(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let Ok(registered) = first.parse::<RedirectUri>() else {
        return false;
    };
    assert_harmless(first);
    assert!(registered.matches(first));
    assert_eq!(registered.as_str(), first);
    if !registered.matches(second) || first == second {
        return first == second;
    }
    assert_harmless(second);
    let [ours, theirs] = [first, second].map(|text| Url::parse(text).expect("a loopback URI is a URI"));
    assert_eq!((theirs.scheme(), theirs.host()), (ours.scheme(), ours.host()), "another scheme or host");
    assert_eq!(theirs[Position::BeforePath..], ours[Position::BeforePath..], "another path or query");
    assert!(["127.0.0.1", "[::1]"].contains(&theirs.host_str().unwrap_or_default()));
    true
}

/// Nothing that could be registered or presented hides another host, or is executed.
fn assert_harmless(text: &str) {
    let Ok(url) = Url::parse(text) else { return };
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    assert!(!["javascript", "data", "vbscript", "file", "blob"].contains(&url.scheme()));
    assert!(!["http", "https"].contains(&url.scheme()) || url.has_host());
}

tessera_fuzz::target!(what_matches_leads_where_was_registered, seeds(), property);
