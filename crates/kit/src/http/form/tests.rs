use super::*;

fn parsed(body: &str) -> Form {
    Form::parse(body.as_bytes()).expect("a form")
}

#[test]
fn names_and_values_are_decoded() {
    let form = parsed("grant_type=client_credentials&scope=a+b%20c&caf%C3%A9=%25%2B%3A%3d");
    assert_eq!(form.value("grant_type"), Some("client_credentials"));
    assert_eq!(form.value("scope"), Some("a b c"));
    assert_eq!(form.value("café"), Some("%+:="));
}

#[test]
fn an_empty_parameter_is_absent() {
    let form = parsed("scope=&audience&=x&&a=1");
    assert_eq!(form.value("scope"), None);
    assert_eq!(form.value("audience"), None);
    assert_eq!(form.value("missing"), None);
    assert_eq!(form.value("a"), Some("1"));
    assert_eq!(Form::parse(b"").expect("empty").value("a"), None);
}

#[test]
fn a_repeated_parameter_is_refused_known_or_not_and_however_it_is_escaped() {
    for body in ["a=1&a=2", "a=1&a=1", "a=&a=1", "x=1&token=a&%74oken=b", "a&a"] {
        assert_eq!(Form::parse(body.as_bytes()).err(), Some(FormError::Repeated), "{body}");
    }
}

#[test]
fn names_are_told_apart_by_case() {
    assert_eq!(parsed("Token=1&token=2").value("token"), Some("2"));
}

#[test]
fn what_may_be_repeated_keeps_every_value() {
    let form = Form::parse_with(b"resource=a&resource=b&resource=", &["resource"]).expect("a form");
    assert_eq!(form.values("resource").collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(Form::parse_with(b"resource=a&x=1&x=2", &["resource"]).err(), Some(FormError::Repeated));
}

#[test]
fn broken_escapes_are_refused() {
    for body in ["a=%", "a=%4", "a=%zz", "a=%4g", "%=1", "a=%-1", "a=%+1", "a=%%41"] {
        assert_eq!(Form::parse(body.as_bytes()).err(), Some(FormError::Escape), "{body}");
    }
}

#[test]
fn invalid_utf8_is_refused_raw_and_escaped() {
    for body in [&b"a=\xff"[..], b"a=%ff", b"\xc3=1", b"a=%C3", b"a=%ED%A0%80", b"a=%C0%AF"] {
        assert_eq!(Form::parse(body).err(), Some(FormError::Utf8), "{body:?}");
    }
}

#[test]
fn the_number_of_parameters_is_bounded() {
    let body: Vec<String> = (0..=MAX_PARAMETERS).map(|n| format!("p{n}=1")).collect();
    assert_eq!(Form::parse(body.join("&").as_bytes()).err(), Some(FormError::TooMany));
    assert!(Form::parse(body[1..].join("&").as_bytes()).is_ok());
}

#[test]
fn a_value_holds_everything_after_the_first_equals_sign() {
    assert_eq!(parsed("a=b=c==").value("a"), Some("b=c=="));
}

#[test]
fn a_taken_value_is_gone() {
    let mut form = parsed("client_secret=hunter2");
    assert_eq!(form.take("client_secret").as_deref(), Some("hunter2"));
    assert_eq!(form.take("client_secret"), None);
}

#[test]
fn debug_shows_names_only() {
    let shown = format!("{:?}", parsed("client_secret=hunter2"));
    assert_eq!(shown, "{\"client_secret\"}");
}

#[test]
fn every_advice_may_stand_in_an_error_description() {
    for error in [FormError::Repeated, FormError::Escape, FormError::Utf8, FormError::TooMany] {
        assert!(tessera_types::error::is_description(error.advice()), "{error:?}");
    }
}

#[test]
fn repeated_names_are_told_to_a_reader_who_asks() {
    let form = Form::parse_repeating(b"a=1&b=2&a=&%62=3&c").expect("readable");
    assert_eq!(form.repeated().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(Form::parse_repeating(b"a=1&b=2").expect("readable").repeated().count(), 0);
    assert!(matches!(Form::parse_repeating(b"a=%"), Err(FormError::Escape)));
}
