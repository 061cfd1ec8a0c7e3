use std::collections::HashMap;

use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_cli::problem::Exit;
use tessera_kit::http::form;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::Server;
use crate::{Captured, Shell};

const LINE: &str = "token get auth-code --issuer-url https://id.example/auth --scope orders:read profile";
const ISS: &str = "iss=https%3A%2F%2Fid.example%2Fauth";

/// The URL that the command line says, once it has.
async fn url(said: &Captured) -> String {
    loop {
        let text = said.text();
        if let Some(url) = text.lines().find_map(|line| line.strip_prefix("  http")) {
            return format!("http{url}");
        }
        tokio::task::yield_now().await;
    }
}

fn parameters(url: &str) -> HashMap<String, String> {
    let decode = |text: &str| form::decode(text.as_bytes()).expect("form-encoded");
    let query = url.split_once('?').expect("a query").1;
    query.split('&').map(|pair| pair.split_once('=').expect("a pair")).map(|(n, v)| (decode(n), decode(v))).collect()
}

/// Asks the command line's port for something, and returns what it shows.
async fn visit(redirect_uri: &str, target: &str) -> String {
    let address =
        redirect_uri.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/callback")).expect("the form");
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await.expect("sent");
    let mut page = String::new();
    stream.read_to_string(&mut page).await.expect("answered");
    page
}

#[tokio::test]
async fn the_answer_of_the_browser_is_redeemed() {
    let server = Server::start().await;
    let (shell, said) = (Shell::at(&server), Captured::default());
    let browser = async {
        let url = url(&said).await;
        assert!(url.starts_with("https://id.example/auth/oauth2/authorize?"), "{url}");
        let sent = parameters(&url);
        // Whoever only opens a connection holds up nobody.
        let address =
            sent["redirect_uri"].strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("an address");
        let idle = TcpStream::connect(address).await.expect("it listens");
        for (stray, status) in [
            ("/favicon.ico".to_owned(), "404"),
            (format!("/callback?code=f0rged&{ISS}"), "400"),
            (format!("/callback?code=f0rged&state=guess&{ISS}"), "400"),
        ] {
            let page = visit(&sent["redirect_uri"], &stray).await;
            assert!(page.starts_with(&format!("HTTP/1.1 {status} ")), "{stray}: {page}");
        }
        let page = visit(&sent["redirect_uri"], &format!("/callback?code=c%2Bd&state={}&{ISS}", sent["state"])).await;
        drop(idle);
        (sent, page)
    };
    let line = format!("{LINE} -o json");
    let (ran, (sent, page)) = tokio::join!(shell.run_heard(&line, said.clone()), browser);
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!(ran.json()["refresh_token"], "tsk_rt_next");
    for shown in
        ["HTTP/1.1 200 OK\r\n", "You may close this page.", "cache-control: no-store", "referrer-policy: no-referrer"]
    {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    assert_eq!((sent["response_type"].as_str(), sent["client_id"].as_str()), ("code", "demo-web"));
    assert_eq!((sent["scope"].as_str(), sent["code_challenge_method"].as_str()), ("orders:read profile", "S256"));
    let (grant, client_id) = server.book.lock().expect("not poisoned").grant.clone().expect("one was run");
    let Grant::AuthorizationCode(redeemed) = grant else { panic!("another grant") };
    assert_eq!((client_id.as_str(), redeemed.code.as_str()), ("demo-web", "c+d"));
    assert_eq!(redeemed.redirect_uri, sent["redirect_uri"]);
    let verifier: tessera_types::CodeVerifier = redeemed.code_verifier.parse().expect("a verifier");
    assert_eq!(verifier.challenge().to_string(), sent["code_challenge"]);
    let asked = server.book.lock().expect("not poisoned").scopes.concat();
    assert_eq!(asked, [""; 0], "the scopes were asked for in the browser");
}

#[tokio::test]
async fn a_refusal_and_an_answer_from_elsewhere_redeem_nothing() {
    let server = Server::start().await;
    for (answer, reason) in [
        (format!("error=access_denied&error_description=The+user+said+no.&{ISS}"), "NOT_AUTHORIZED"),
        ("code=c&iss=https%3A%2F%2Fevil.example".to_owned(), "WRONG_ISSUER"),
        ("code=c".to_owned(), "WRONG_ISSUER"),
    ] {
        let (shell, said) = (Shell::at(&server), Captured::default());
        let browser = async {
            let sent = parameters(&url(&said).await);
            visit(&sent["redirect_uri"], &format!("/callback?{answer}&state={}", sent["state"])).await
        };
        let (ran, page) = tokio::join!(shell.run_heard(LINE, said.clone()), browser);
        assert_eq!(ran.exit, Exit::Denied, "{answer}");
        assert!(ran.err.contains(reason), "{}", ran.err);
        assert!(page.contains("Not signed in"), "{page}");
    }
    assert_eq!(server.calls(), [""; 0], "nothing was redeemed");
}

#[tokio::test]
async fn nobody_is_waited_for_forever_and_a_taken_port_is_said() {
    let server = Server::start().await;
    let ran = Shell::at(&server).run(&format!("{LINE} --wait 0")).await;
    assert_eq!(ran.exit, Exit::Unavailable);
    assert!(ran.err.contains("NOBODY_CAME"), "{}", ran.err);
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let ran = Shell::at(&server).run(&format!("{LINE} --redirect-port {port}")).await;
    assert_eq!(ran.exit, Exit::Conflict);
    // Where the user signs in is not told by a gRPC endpoint.
    let ran = Shell::at(&server).run("token get auth-code").await;
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("NO_ISSUER_URL"), "{}", ran.err);
    assert_eq!(Shell::at(&server).run("token get auth-code --issuer-url http://id.example").await.exit, Exit::Usage);
}
