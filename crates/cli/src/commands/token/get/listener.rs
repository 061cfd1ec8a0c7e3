//! The port of this machine to which a browser brings the answer of an authorization request.
//!
//! Everybody on this machine can call it, and so can every page in the browser: what does not carry `state` is turned away, and the
//! wait goes on.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tessera_kit::http::Form;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::problem::Problem;

/// Where the browser is sent, below the address.
const PATH: &str = "/callback";

/// The longest head of a request that is read: browsers send cookies of other servers on 127.0.0.1 along.
const MAX_HEAD: usize = 64 * 1024;

/// How long a connection may stay silent.
const SILENCE: Duration = Duration::from_secs(10);

/// How many connections are looked at at once.
const MAX_AT_ONCE: usize = 32;

/// What the answer must carry.
pub(super) struct Expected {
    /// The issuer that was asked (RFC 9207).
    pub(super) issuer: String,
    /// The request's own mark (RFC 6749 section 10.12).
    pub(super) state: Zeroizing<String>,
}

/// The open port.
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// What a request turns out to be.
enum Heard {
    /// Nothing that was waited for.
    Stray(Page),
    /// The answer: a code, or why there is none.
    Answer(Result<Zeroizing<String>, Problem>),
}

/// What the browser shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Received,
    Refused,
    Forged,
    Nothing,
}

impl Listener {
    /// Opens a port; 0 means a free one.
    pub(super) async fn bind(port: u16) -> Result<Self, Problem> {
        let taken = |error: std::io::Error| {
            Problem::conflict("PORT_TAKEN", format!("cannot listen on 127.0.0.1:{port}: {error}"))
                .hint("choose another with --redirect-port, or leave it out for a free one")
        };
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(taken)?;
        let address = socket.local_addr().map_err(taken)?;
        Ok(Self { socket, address })
    }

    /// Where the browser is to be sent.
    pub(super) fn redirect_uri(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// Unavailable, where none comes in time; denied, where it says no or comes from elsewhere.
    pub(super) async fn code(self, expected: &Expected, wait: Duration) -> Result<Zeroizing<String>, Problem> {
        tokio::time::timeout(wait, self.answer(expected)).await.unwrap_or_else(|_| {
            Err(Problem::unavailable("NOBODY_CAME", "nobody signed in in time").hint("give it longer with --wait"))
        })
    }

    /// Browsers open connections that they may never use: none of them holds up another.
    async fn answer(self, expected: &Expected) -> Result<Zeroizing<String>, Problem> {
        let mut requests = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.socket.accept(), if requests.len() < MAX_AT_ONCE => {
                    if let Ok((stream, _)) = accepted {
                        requests.spawn(async { tokio::time::timeout(SILENCE, read_target(stream)).await.ok().flatten() });
                    }
                }
                Some(request) = requests.join_next() => {
                    let Ok(Some((stream, target))) = request else { continue };
                    match judge(&target, expected) {
                        Heard::Stray(page) => drop(requests.spawn(async move {
                            tell(stream, page).await;
                            None
                        })),
                        Heard::Answer(answer) => {
                            tell(stream, if answer.is_ok() { Page::Received } else { Page::Refused }).await;
                            return answer;
                        }
                    }
                }
            }
        }
    }
}

/// The target of a GET request, once its head is there.
async fn read_target(mut stream: TcpStream) -> Option<(TcpStream, Zeroizing<String>)> {
    let mut head = Zeroizing::new(Vec::with_capacity(4096));
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > MAX_HEAD || stream.read_buf(&mut *head).await.ok()? == 0 {
            return None;
        }
    }
    let text = std::str::from_utf8(&head).ok()?;
    let mut words = text.lines().next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    (method == "GET").then(|| Zeroizing::new(target.to_owned())).map(|target| (stream, target))
}

/// Reads the answer (RFC 6749 section 4.1.2). `state` first: without it nothing else counts.
fn judge(target: &str, expected: &Expected) -> Heard {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != PATH {
        return Heard::Stray(Page::Nothing);
    }
    let Ok(mut answer) = Form::parse(query.as_bytes()) else { return Heard::Stray(Page::Forged) };
    if answer.value("state") != Some(expected.state.as_str()) {
        return Heard::Stray(Page::Forged);
    }
    if answer.value("iss") != Some(expected.issuer.as_str()) {
        let from = answer.value("iss").unwrap_or("nobody in particular");
        let message = format!("the answer comes from {from}, and not from {}", expected.issuer);
        let hint = "the issuer's URL must be its configured one, byte for byte (--issuer-url)";
        return Heard::Answer(Err(Problem::denied("WRONG_ISSUER", message).hint(hint)));
    }
    if let Some(error) = answer.value("error") {
        let description = answer.value("error_description").unwrap_or("no reason was given");
        return Heard::Answer(Err(Problem::denied("NOT_AUTHORIZED", format!("{error}: {description}"))));
    }
    let code = answer.take("code").map(Zeroizing::new);
    Heard::Answer(code.ok_or_else(|| Problem::denied("NOT_AUTHORIZED", "the answer has neither a code nor an error")))
}

/// Shows the browser a page. That it cannot be shown changes nothing.
async fn tell(mut stream: TcpStream, page: Page) {
    let (status, title, text) = match page {
        Page::Received => ("200 OK", "Signed in", "The command line goes on. You may close this page."),
        Page::Refused => ("200 OK", "Not signed in", "The command line says why. You may close this page."),
        Page::Forged => ("400 Bad Request", "Not an answer", "Nothing here waits for this."),
        Page::Nothing => ("404 Not Found", "Nothing here", "Nothing here waits for this."),
    };
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title><main><h1>{title}</h1><p>{text}</p></main></html>\n"
    );
    // The code stands in the page's address: it goes nowhere from here.
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         referrer-policy: no-referrer\r\ncontent-security-policy: default-src 'none'\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(target: &str) -> Result<String, String> {
        let expected = Expected { issuer: "https://id.example".into(), state: Zeroizing::new("s".into()) };
        match judge(target, &expected) {
            Heard::Stray(page) => Err(format!("{page:?}")),
            Heard::Answer(Ok(code)) => Ok(code.to_string()),
            Heard::Answer(Err(problem)) => Err(problem.reason),
        }
    }

    #[test]
    fn what_does_not_carry_the_state_is_no_answer() {
        for stray in [
            "/callback",
            "/callback?code=c&iss=https%3A%2F%2Fid.example",
            "/callback?code=c&state=S&iss=https%3A%2F%2Fid.example",
            "/callback?error=access_denied&iss=https%3A%2F%2Fid.example",
            "/callback?code=c&code=d&state=s&iss=https%3A%2F%2Fid.example",
            "/callback?state=%",
        ] {
            assert_eq!(heard(stray), Err("Forged".into()), "{stray}");
        }
        for elsewhere in ["/", "/favicon.ico", "/callback/?state=s", "http://127.0.0.1/callback?state=s", "*"] {
            assert_eq!(heard(elsewhere), Err("Nothing".into()), "{elsewhere}");
        }
    }

    #[test]
    fn the_answer_must_come_from_the_issuer_that_was_asked() {
        assert_eq!(heard("/callback?code=c%2Bd&state=s&iss=https%3A%2F%2Fid.example"), Ok("c+d".into()));
        for other in ["", "&iss=", "&iss=https%3A%2F%2Fid.example%2F", "&iss=https%3A%2F%2Fevil.example"] {
            assert_eq!(heard(&format!("/callback?code=c&state=s{other}")), Err("WRONG_ISSUER".into()), "{other}");
        }
        let denied = "/callback?error=access_denied&state=s&iss=https%3A%2F%2Fid.example";
        assert_eq!(heard(denied), Err("NOT_AUTHORIZED".into()));
        assert_eq!(heard("/callback?state=s&iss=https%3A%2F%2Fid.example"), Err("NOT_AUTHORIZED".into()));
    }
}
