//! Form bodies. What is accepted holds no name twice, and reads back equal when it is written by the book.

use tessera_fuzz::Seeds;
use tessera_kit::http::Form;

use crate::rewritten::{assert_distinct, pairs, urlencoded};

const WORDS: &[&[u8]] = &[
    b"resource=",
    b"&resource=x",
    b"&scope=",
    b"%00",
    b"%C3%A9",
    b"%ED%A0%80",
    b"%",
    b"&",
    b"&&",
    b"=",
    b"+",
    b"\xff",
];

fn seeds() -> Seeds {
    Seeds::load("form", WORDS).expect("seeds")
}

fn property(body: &[u8]) -> bool {
    let Ok(form) = Form::parse_with(body, &["resource"]) else {
        return false;
    };
    let read = pairs(&form);
    assert_distinct(&read, "resource");
    for (name, value) in &read {
        assert_eq!(form.value(name).is_some(), form.values(name).next().is_some());
        assert!(value.is_empty() || form.values(name).any(|v| v == value));
    }
    let again = Form::parse_with(urlencoded(&read).as_bytes(), &["resource"]).expect("what was read can be written");
    assert_eq!(pairs(&again), read);
    true
}

tessera_fuzz::target!(an_accepted_form_reads_back_as_written, seeds(), property);
