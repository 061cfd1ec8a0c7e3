//! What somebody is told who speaks plain text to a port that speaks TLS: otherwise they would see a connection that breaks off.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What every TLS connection begins with: a handshake record (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// For HTTP/1: a whole answer.
const OVER_HTTP: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n\
    content-length: 40\r\nconnection: close\r\n\r\nThis port speaks TLS: use https:// here\n";

/// How often something is read, and thrown away, of whoever goes on sending.
const MOST_READS: usize = 16;

const WORDS: &[u8] = b"this port speaks TLS";

/// For HTTP/2: SETTINGS, then GOAWAY with `INADEQUATE_SECURITY` and words that clients show (RFC 9113 sections 6.5, 6.8 and 7).
fn over_http2() -> Vec<u8> {
    let length = u8::try_from(8 + WORDS.len()).unwrap_or(8);
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let goaway = [0, 0, length, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc];
    [&settings[..], &goaway, WORDS].concat()
}

/// Tells whoever does not begin with a handshake what this port speaks. Returns whether that was so, and the connection with it over.
pub(crate) async fn answer(stream: &mut TcpStream, is_grpc: bool) -> std::io::Result<bool> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 || first[0] == HANDSHAKE {
        return Ok(false);
    }
    // Both protocols begin with a letter; what does not is no HTTP either.
    if first[0].is_ascii_uppercase() {
        let answer = if is_grpc { over_http2() } else { OVER_HTTP.to_vec() };
        stream.write_all(&answer).await?;
    }
    stream.shutdown().await?;
    // Bytes left unread would make the end a reset, which overtakes the answer.
    let mut rest = [0; 4096];
    for _ in 0..MOST_READS {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_says_how_long_it_is() {
        let text = std::str::from_utf8(OVER_HTTP).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    }
}
