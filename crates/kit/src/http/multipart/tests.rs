use super::*;

const TYPE: &str = "multipart/form-data; boundary=B";

/// A body of parts, each a block of headers and a value.
fn body(parts: &[(&str, &str)]) -> String {
    let parts: Vec<String> =
        parts.iter().map(|(headers, value)| format!("--B\r\n{headers}\r\n\r\n{value}\r\n")).collect();
    parts.concat() + "--B--\r\n"
}

fn named(name: &str) -> String {
    format!("Content-Disposition: form-data; name=\"{name}\"")
}

fn read(body: &str) -> Result<Form, MultipartError> {
    parse(TYPE, body.as_bytes(), &[])
}

/// What a part with these headers is refused for.
fn refusal(headers: &str) -> Option<MultipartError> {
    read(&body(&[(headers, "x")])).err()
}

#[test]
fn parameters_are_read_as_from_the_other_kind_of_form() {
    let text =
        body(&[(&named("grant_type"), "password"), (&named("scope"), ""), (&named("password"), "a\r\nb%41+é--B")]);
    let form = read(&text).expect("a form");
    assert_eq!(form.value("grant_type"), Some("password"));
    assert_eq!(form.value("scope"), None);
    assert_eq!(form.value("password"), Some("a\r\nb%41+é--B"));
    assert!(read("--B--\r\n").is_ok_and(|form| form.pairs().next().is_none()));
    assert!(read(text.trim_end()).is_ok());
}

#[test]
fn a_repeated_parameter_is_refused_unless_it_may_be() {
    let text = body(&[(&named("a"), "1"), (&named("a"), "2")]);
    assert_eq!(read(&text).err(), Some(FormError::Repeated.into()));
    let form = parse(TYPE, text.as_bytes(), &["a"]).expect("a form");
    assert_eq!(form.values("a").collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn content_types_say_form_data_one_boundary_and_utf8() {
    let text = body(&[]);
    for good in [
        "multipart/form-data; boundary=B",
        "Multipart/Form-Data;Boundary=\"B\"",
        "multipart/form-data; charset=utf-8; boundary=B",
    ] {
        assert!(parse(good, text.as_bytes(), &[]).is_ok(), "{good}");
    }
    let long = format!("multipart/form-data; boundary={}", "B".repeat(71));
    for bad in [
        "",
        "multipart/form-data",
        "multipart/mixed; boundary=B",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"B",
        "multipart/form-data; boundary=B; boundary=C",
        "multipart/form-data; boundary=B; charset=latin1",
        "multipart/form-data; boundary=B; x=y",
        "multipart/form-data; boundary=\"B \"",
        "multipart/form-data, text/plain; boundary=B",
        &long,
    ] {
        assert_eq!(parse(bad, text.as_bytes(), &[]).err(), Some(MultipartError::ContentType), "{bad}");
    }
}

#[test]
fn delimiters_stand_where_they_must_and_nothing_beside_them() {
    let part = format!("{}\r\n\r\nx", named("a"));
    for bad in [
        String::new(),
        "--B".into(),
        "--B\r\n".into(),
        "--B-".into(),
        format!("--B\r\n{part}"),
        format!("--B\r\n{part}\r\n--B"),
        format!("--B\r\n{part}\r\n--B\r\n"),
        format!("preamble\r\n--B\r\n{part}\r\n--B--"),
        format!("\r\n--B\r\n{part}\r\n--B--"),
        format!("--B\r\n{part}\r\n--B--\r\nepilogue"),
        format!("--B \r\n{part}\r\n--B--"),
        format!("--B\n{part}\n--B--"),
        format!("--B\r\n{part}\r\n--Bx\r\n--B--"),
    ] {
        assert_eq!(read(&bad).err(), Some(MultipartError::Delimiter), "{bad:?}");
    }
}

#[test]
fn a_part_needs_well_formed_headers_with_one_name() {
    for bad in [
        "Content-Type: text/plain",
        "Content-Disposition: form-data",
        "Content-Disposition: attachment; name=\"a\"",
        "Content-Disposition: form-data; name*=UTF-8''a",
        "Content-Disposition: form-data; Name=\"a\"",
        "Content-Disposition: form-data; name=\"a",
        "Content-Disposition: form-data; name=\"a\\\"\"",
        "Content-Disposition: form-data; name=\"a\"; name=\"b\"",
        "Content-Disposition: form-data; x=\"; name=evil; \"; name=\"a\"",
        "Content-Disposition: form-data; name=\"a\" b",
        "Content-Disposition : form-data; name=\"a\"",
        "Content-Disposition: form-data;\r\n name=\"a\"",
        "Content-Disposition: form-data; name=\"a\0\"",
        "Content-Disposition: form-data; name=\"a\"\r\ncontent-disposition: form-data; name=\"b\"",
        "Content-Disposition: form-data; name=\"a\"\r\nnonsense",
    ] {
        assert_eq!(refusal(bad), Some(MultipartError::Headers), "{bad}");
    }
    assert_eq!(read("--B\r\n\r\nx\r\n--B--").err(), Some(MultipartError::Headers));
    for good in ["content-disposition:form-data;name=a", "Content-Disposition: Form-Data ; name=\"a\"\r\nX-Other: é"] {
        assert_eq!(refusal(good), None, "{good}");
    }
}

#[test]
fn files_are_refused() {
    for bad in [
        "Content-Disposition: form-data; name=\"a\"; filename=\"\"",
        "Content-Disposition: form-data; name=\"a\";FileName=x",
        "Content-Disposition: form-data; filename=\"x\"; name=\"a\"",
        "Content-Disposition: form-data; name=\"a\"; filename*=UTF-8''x",
        "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: Multipart/Mixed; boundary=C",
    ] {
        assert_eq!(refusal(bad), Some(MultipartError::File), "{bad}");
    }
}

#[test]
fn encoded_parts_are_refused_and_plain_ones_read() {
    for (header, refused) in [
        ("Content-Transfer-Encoding: base64", true),
        ("Content-Transfer-Encoding: quoted-printable", true),
        ("Content-Type: text/plain; charset=iso-8859-1", true),
        ("Content-Transfer-Encoding: 8BIT", false),
        ("Content-Transfer-Encoding: binary\r\nContent-Type: text/plain; charset=UTF-8", false),
        ("Content-Transfer-Encoding: 7bit\r\nContent-Length: 1", false),
    ] {
        let refusal = refusal(&format!("{}\r\n{header}", named("a")));
        assert_eq!(refusal, refused.then_some(MultipartError::Encoding), "{header}");
    }
}

#[test]
fn values_are_utf8_and_everything_is_bounded() {
    let bad = [named("a").as_bytes(), b"\r\n\r\n\xff"].concat();
    let bad = [b"--B\r\n", &bad[..], b"\r\n--B--"].concat();
    assert_eq!(parse(TYPE, &bad, &[]).err(), Some(FormError::Utf8.into()));

    let long = body(&[(&named("a"), &"x".repeat(MAX_BODY))]);
    assert_eq!(read(&long).err(), Some(MultipartError::TooLarge));

    let headers = named("a") + &"\r\nX: y".repeat(MAX_HEADERS);
    assert_eq!(refusal(&headers), Some(MultipartError::Headers));
    assert_eq!(refusal(&headers[..headers.len() - 6]), None);

    let parts: Vec<(String, &str)> = (0..129).map(|n| (named(&format!("p{n}")), "1")).collect();
    let parts: Vec<(&str, &str)> = parts.iter().map(|(headers, value)| (headers.as_str(), *value)).collect();
    assert_eq!(read(&body(&parts)).err(), Some(FormError::TooMany.into()));
    assert!(read(&body(&parts[1..])).is_ok());
}

#[test]
fn every_advice_may_stand_in_an_error_description() {
    use MultipartError as Bad;
    for error in [Bad::ContentType, Bad::TooLarge, Bad::Delimiter, Bad::Headers, Bad::File, Bad::Encoding] {
        assert!(tessera_types::error::is_description(error.advice()), "{error:?}");
    }
}
