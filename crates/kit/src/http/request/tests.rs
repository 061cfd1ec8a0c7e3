use super::*;

async fn read(content_type: Option<&str>, body: impl Into<Body>) -> Result<FormBody, RequestError> {
    let mut request = Request::builder().method("POST").uri("/oauth2/token?token=from-the-query");
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    FormBody::read(request.body(body.into()).expect("a request"), &[]).await
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn a_form_is_read_and_the_query_is_not() {
    let read = read(Some(FORM), "scope=a").await.expect("a form");
    assert_eq!(read.form.value("scope"), Some("a"));
    assert_eq!(read.form.value("token"), None);
}

#[tokio::test]
async fn the_content_type_may_have_parameters_and_any_case() {
    for good in [
        "Application/X-WWW-Form-URLEncoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
        "application/x-www-form-urlencoded;charset=\"utf-8\"",
    ] {
        assert!(read(Some(good), "a=1").await.is_ok(), "{good}");
    }
}

#[tokio::test]
async fn other_content_types_are_invalid_requests() {
    for bad in [
        None,
        Some(""),
        Some("application/json"),
        Some("text/plain"),
        Some("multipart/form-data; boundary=x"),
        Some("application/x-www-form-urlencoded; charset=latin1"),
        Some("application/x-www-form-urlencodedx"),
    ] {
        assert_eq!(read(bad, "a=1").await.err(), Some(RequestError::ContentType), "{bad:?}");
    }
    assert_eq!(RequestError::ContentType.into_response().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    let request = Request::builder().header(header::CONTENT_TYPE, FORM).header(header::CONTENT_ENCODING, "gzip");
    let read = FormBody::read(request.body(Body::from("a=1")).expect("a request"), &[]).await;
    assert_eq!(read.err(), Some(RequestError::ContentType));
}

#[tokio::test]
async fn a_body_of_64_kib_is_read_and_a_longer_one_is_413() {
    let body = format!("a={}", "x".repeat(MAX_BODY - 2));
    assert!(read(Some(FORM), body.clone()).await.is_ok());
    let error = read(Some(FORM), body + "x").await.expect_err("too large");
    assert_eq!(error, RequestError::TooLarge);
    assert_eq!(error.into_response().status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_streamed_body_is_bounded_too() {
    let chunks = futures::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>("a".repeat(1024))));
    assert_eq!(read(Some(FORM), Body::from_stream(chunks)).await.err(), Some(RequestError::TooLarge));
}

#[tokio::test]
async fn a_body_that_never_ends_is_408() {
    let endless = Body::from_stream(futures::stream::pending::<Result<String, std::io::Error>>());
    let request = Request::builder().header(header::CONTENT_TYPE, FORM).body(endless).expect("a request");
    let error = FormBody::read_within(Duration::from_millis(1), request, &[]).await.expect_err("too slow");
    assert_eq!(error, RequestError::TooSlow);
    assert_eq!(error.into_response().status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_invalid_request() {
    let chunks = futures::stream::iter([Ok("a=1"), Err(std::io::Error::other("reset"))]);
    assert_eq!(read(Some(FORM), Body::from_stream(chunks)).await.err(), Some(RequestError::BrokenOff));
}

#[test]
fn every_advice_may_stand_in_an_error_description() {
    use RequestError as E;
    for error in [E::ContentType, E::TooLarge, E::TooSlow, E::BrokenOff, E::Form(FormError::Utf8)] {
        assert!(tessera_types::error::is_description(error.advice()), "{error:?}");
    }
}
