//! `multipart/form-data` (RFC 7578), read as strictly as the other kind of form and into the same [`Form`].
//!
//! RFC 6749 does not know it. The shops' dialects of the token endpoint do: their clients are scripts that hand an array to
//! an HTTP library, and that is how the library sends it. The strict endpoints never accept it.
//!
//! Parsers of multipart bodies are known for disagreeing, so whatever two of them could read differently is refused: anything
//! before the first delimiter or after the last, a delimiter inside a part, folded, repeated or odd headers, backslashes in
//! names, files and encodings.

use tessera_types::{ErrorCode, Failure};

use super::form::{Form, FormError};
use super::request::{MAX_BODY, is_utf8_parameter};

/// The longest boundary, in bytes (RFC 2046 section 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// How many headers a part may have. Three of them mean something.
const MAX_HEADERS: usize = 16;

/// Why a body is not a multipart form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The content type is not `multipart/form-data` with one boundary.
    #[error("the content type is not multipart/form-data with a boundary")]
    ContentType,
    /// More than 64 KiB.
    #[error("the body is too large")]
    TooLarge,
    /// The delimiters are not where they must be, or the last one is missing.
    #[error("the parts are not delimited as the boundary says")]
    Delimiter,
    /// A part's headers are malformed, or do not say `form-data` and a name.
    #[error("a part's headers are malformed")]
    Headers,
    /// A part is a file, or several.
    #[error("a part is a file")]
    File,
    /// A part is encoded, or in another charset than UTF-8.
    #[error("a part is encoded")]
    Encoding,
    /// The parameters are not what a form may hold.
    #[error(transparent)]
    Form(#[from] FormError),
}

impl Failure for MultipartError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidRequest
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::ContentType => "CONTENT_TYPE_UNSUPPORTED",
            Self::TooLarge => "BODY_TOO_LARGE",
            Self::Delimiter => "MULTIPART_DELIMITER_BROKEN",
            Self::Headers => "MULTIPART_HEADERS_MALFORMED",
            Self::File => "MULTIPART_FILE",
            Self::Encoding => "MULTIPART_ENCODED",
            Self::Form(error) => error.reason(),
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::ContentType => "The content type must be multipart/form-data with one boundary.",
            Self::TooLarge => "The body is longer than 65536 bytes.",
            Self::Delimiter => "The parts are not delimited as the boundary says.",
            Self::Headers => "The headers of a part are malformed; each part needs a Content-Disposition with a name.",
            Self::File => "A part is a file; send parameters only.",
            Self::Encoding => "A part is encoded; send it as it is, in UTF-8.",
            Self::Form(error) => error.advice(),
        }
    }
}

/// Reads a body; `repeatable` names the parameters that may stand there more than once.
///
/// # Errors
/// Every [`MultipartError`].
pub fn parse(content_type: &str, body: &[u8], repeatable: &[&str]) -> Result<Form, MultipartError> {
    let boundary = boundary(content_type).ok_or(MultipartError::ContentType)?;
    if body.len() > MAX_BODY {
        return Err(MultipartError::TooLarge);
    }
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let mut form = Form::default();
    // The line break before a delimiter belongs to it; before the first there is none.
    let mut rest = body.strip_prefix(&delimiter[2..]).ok_or(MultipartError::Delimiter)?;
    loop {
        if let Some(end) = rest.strip_prefix(b"--") {
            return if matches!(end, b"" | b"\r\n") { Ok(form) } else { Err(MultipartError::Delimiter) };
        }
        let part = rest.strip_prefix(b"\r\n").ok_or(MultipartError::Delimiter)?;
        let (part, after) = split_once(part, &delimiter).ok_or(MultipartError::Delimiter)?;
        let (headers, value) = split_once(part, b"\r\n\r\n").ok_or(MultipartError::Headers)?;
        let name = Headers::read(headers)?.name()?;
        let value = str::from_utf8(value).map_err(|_| FormError::Utf8)?;
        form.push(name, value.to_owned(), repeatable)?;
        rest = after;
    }
}

/// The boundary of a content type, where that is `multipart/form-data` and in UTF-8.
fn boundary(content_type: &str) -> Option<&str> {
    // No character of a boundary needs more care than this, quoted or not.
    let mut parameters = content_type.split(';').map(str::trim);
    if !parameters.next()?.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut boundary = None;
    for parameter in parameters {
        match parameter.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("boundary") && boundary.is_none() => {
                boundary = Some(value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value));
            }
            Some((name, _)) if name.eq_ignore_ascii_case("charset") && is_utf8_parameter(parameter) => {}
            _ => return None,
        }
    }
    // `bchars` without the space, which some clients would send and others trim.
    let well_formed = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b);
    boundary.filter(|b| (1..=MAX_BOUNDARY).contains(&b.len()) && b.bytes().all(well_formed))
}

/// The headers of a part that mean something (RFC 7578 section 4.8); others are ignored, as long as they are headers.
#[derive(Default)]
struct Headers<'a> {
    disposition: Option<&'a str>,
    content_type: Option<&'a str>,
    encoding: Option<&'a str>,
}

impl<'a> Headers<'a> {
    fn read(lines: &'a [u8]) -> Result<Self, MultipartError> {
        let text = str::from_utf8(lines).map_err(|_| MultipartError::Headers)?;
        let mut headers = Self::default();
        for (count, line) in text.split("\r\n").enumerate() {
            let (name, value) = line.split_once(':').ok_or(MultipartError::Headers)?;
            let well_formed = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            if count == MAX_HEADERS || !well_formed || value.chars().any(|c| c.is_control() && c != '\t') {
                return Err(MultipartError::Headers);
            }
            let place = match name.to_ascii_lowercase().as_str() {
                "content-disposition" => &mut headers.disposition,
                "content-type" => &mut headers.content_type,
                "content-transfer-encoding" => &mut headers.encoding,
                _ => continue,
            };
            if place.replace(value.trim()).is_some() {
                return Err(MultipartError::Headers);
            }
        }
        Ok(headers)
    }

    /// The parameter's name, where the part is a parameter.
    fn name(&self) -> Result<String, MultipartError> {
        let name = disposition_name(self.disposition.ok_or(MultipartError::Headers)?)?;
        let content_type = self.content_type.unwrap_or("text/plain");
        if content_type.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/")) {
            return Err(MultipartError::File);
        }
        let plain = |encoding: &str| ["7bit", "8bit", "binary"].iter().any(|p| encoding.eq_ignore_ascii_case(p));
        if !content_type.split(';').skip(1).all(is_utf8_parameter) || !self.encoding.is_none_or(plain) {
            return Err(MultipartError::Encoding);
        }
        Ok(name.to_owned())
    }
}

/// Reads `form-data; name="…"`. Nothing else may stand there, above all no `filename` and no `name*`; nor `NAME`, which some
/// parsers take for it and others do not.
fn disposition_name(disposition: &str) -> Result<&str, MultipartError> {
    let bad = MultipartError::Headers;
    let (kind, parameters) = disposition.split_once(';').ok_or(bad)?;
    let (parameter, rest) = parameters.trim_start().split_once('=').ok_or(bad)?;
    if !kind.trim_end().eq_ignore_ascii_case("form-data") {
        return Err(bad);
    }
    if is_filename(parameter) {
        return Err(MultipartError::File);
    }
    let (name, rest) = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or(bad)?,
        None => rest.split_at(rest.find([';', ' ', '\t']).unwrap_or(rest.len())),
    };
    if parameter != "name" || name.contains(['"', '\\']) {
        return Err(bad);
    }
    match rest.trim_start().strip_prefix(';').map(|more| more.split('=').next().unwrap_or_default().trim()) {
        Some(parameter) if is_filename(parameter) => Err(MultipartError::File),
        None if rest.trim().is_empty() => Ok(name),
        _ => Err(bad),
    }
}

fn is_filename(parameter: &str) -> bool {
    parameter.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("filename"))
}

fn split_once<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let position = bytes.windows(at.len()).position(|window| window == at)?;
    Some((&bytes[..position], &bytes[position + at.len()..]))
}

#[cfg(test)]
mod tests;
