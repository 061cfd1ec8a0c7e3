//! Multipart forms: the first line is the content type, the rest the body. What is accepted reads back equal, and an
//! implementation of others reads it alike.

use std::convert::Infallible;

use futures::{FutureExt as _, stream};
use tessera_fuzz::Seeds;
use tessera_kit::http::{Form, multipart};

use crate::rewritten::{Pairs, assert_distinct, pairs, urlencoded};

const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"--B",
    b"\r\n--B\r\n",
    b"\r\n--B--",
    b"--",
    b"; filename=\"x\"",
    b"; name=\"b\"",
    b"name=c",
    b"form-data; ",
    b"\r\nContent-Disposition: form-data; name=\"resource\"",
    b"\r\nContent-Type: text/plain; charset=utf-8",
    b"\r\nContent-Transfer-Encoding: 8bit",
    b"\\\"",
    b"boundary=",
    b"\xff",
];

/// A boundary of our own, for writing again what was read.
const BOUNDARY: &str = "fuzz-8f1b6c0e";

fn seeds() -> Seeds {
    Seeds::load("multipart", WORDS).expect("seeds")
}

fn property(input: &[u8]) -> bool {
    let end = input.iter().position(|b| *b == b'\n').unwrap_or(input.len());
    let Ok(content_type) = str::from_utf8(&input[..end]) else {
        return false;
    };
    let body = input.get(end + 1..).unwrap_or_default();
    let Ok(form) = multipart::parse(content_type, body, &["resource"]) else {
        return false;
    };
    let read = pairs(&form);
    assert_distinct(&read, "resource");
    assert_reads_back(&read);
    if let Ok(boundary) = multer::parse_boundary(content_type) {
        assert_eq!(read_by_others(boundary, body), read, "another parser reads something else");
    }
    true
}

fn assert_reads_back(read: &Pairs) {
    let again = Form::parse_with(urlencoded(read).as_bytes(), &["resource"]).expect("a form of the other kind");
    assert_eq!(&pairs(&again), read);
    if read.iter().any(|(_, value)| value.contains(BOUNDARY)) {
        return;
    }
    let part = |(name, value): &(String, String)| {
        format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = read.iter().map(part).collect::<String>() + &format!("--{BOUNDARY}--");
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let again = multipart::parse(&content_type, body.as_bytes(), &["resource"]).expect("what was read can be written");
    assert_eq!(&pairs(&again), read);
}

/// What axum's parser reads.
fn read_by_others(boundary: String, body: &[u8]) -> Pairs {
    let stream = stream::iter([Ok::<_, Infallible>(body.to_vec())]);
    let read = async {
        let mut multipart = multer::Multipart::new(stream, boundary);
        let mut pairs = Pairs::new();
        while let Some(field) = multipart.next_field().await.expect("others read what we read") {
            let name = field.name().map(str::to_owned);
            let value = field.bytes().await.expect("others read what we read");
            pairs.push((name.expect("a name"), String::from_utf8(value.to_vec()).expect("UTF-8")));
        }
        pairs
    };
    read.now_or_never().expect("the whole body is there")
}

tessera_fuzz::target!(an_accepted_body_reads_alike_everywhere, seeds(), property);
