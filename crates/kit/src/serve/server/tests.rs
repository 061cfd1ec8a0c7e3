use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::*;
use crate::config::Stopping;
use crate::health::Health;
use crate::random::SystemRandom;
use crate::serve::Drain;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn options() -> Options {
    Options::new(Stop::new(), Arc::new(SystemRandom))
}

fn client(http2: bool) -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).http2_only(http2).build_http()
}

async fn ask(
    client: &Client<HttpConnector, Body>,
    addr: SocketAddr,
    path: &str,
    timeout: Option<&str>,
) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::builder().uri(format!("http://{addr}{path}"));
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    let response = client.request(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    (parts.status, parts.headers, String::from_utf8_lossy(&bytes).into_owned())
}

fn routes() -> Router {
    Router::new()
        .route("/hello", get(async || "hello"))
        .route("/panic", get(async || if true { panic!("secret input") } else { "" }))
        .route("/never", get(async || std::future::pending::<&'static str>().await))
        .route("/peer", get(async |peer: axum::Extension<crate::serve::Peer>| peer.addr().ip().to_string()))
        .route("/thread", get(async || std::thread::current().name().unwrap_or_default().to_owned()))
}

#[tokio::test]
async fn http_is_served_over_both_versions_with_the_peer_known() {
    let options = options();
    let server = Server::http(ANY, "http").expect("a free port");
    let serving = server.serve_http(routes(), &options).expect("served");
    for http2 in [false, true] {
        let client = client(http2);
        assert_eq!(ask(&client, serving.addr(), "/hello", None).await.2, "hello");
        assert_eq!(ask(&client, serving.addr(), "/peer", None).await.2, "127.0.0.1");
    }
}

#[tokio::test]
async fn a_panic_costs_one_call() {
    let options = options();
    let serving = Server::http(ANY, "http").expect("a free port").serve_http(routes(), &options).expect("served");
    let client = client(true);
    let (status, headers, body) = ask(&client, serving.addr(), "/panic", None).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(headers["cache-control"], "no-store");
    assert!(body.contains("server_error") && !body.contains("secret input"), "{body}");
    assert_eq!(ask(&client, serving.addr(), "/hello", None).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_grpc_call_that_panics_is_internal_and_one_that_is_late_is_deadline_exceeded() {
    let options = options();
    let serving = Server::grpc(ANY, 0).expect("a free port").serve(routes(), &options).expect("served");
    let client = client(true);
    let (status, headers, _) = ask(&client, serving.addr(), "/panic", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["grpc-status"], "13");
    let (_, headers, _) = ask(&client, serving.addr(), "/never", Some("5m")).await;
    assert_eq!(headers["grpc-status"], "4");
    assert_eq!(ask(&client, serving.addr(), "/hello", Some("5S")).await.2, "hello");
}

#[tokio::test]
async fn workers_have_event_loops_of_their_own() {
    let options = options();
    let server = Server::grpc(ANY, 2).expect("a free port");
    let mut serving = server.serve(routes(), &options).expect("served");
    for _ in 0..8 {
        let (_, _, thread) = ask(&client(true), serving.addr(), "/thread", None).await;
        assert!(thread.starts_with("grpc-"), "{thread}");
    }
    options.stop.end();
    serving.finished().await;
}

#[tokio::test]
async fn draining_lets_calls_in_flight_finish_and_takes_no_new_connection() {
    let options = options();
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let router = Router::new().route(
        "/slow",
        get({
            let (entered, release) = (Arc::clone(&entered), Arc::clone(&release));
            async move || {
                entered.notify_one();
                release.notified().await;
                "done"
            }
        }),
    );
    let mut serving = Server::http(ANY, "http").expect("a free port").serve_http(router, &options).expect("served");
    let addr = serving.addr();
    let call = tokio::spawn(async move { ask(&client(true), addr, "/slow", None).await });
    entered.notified().await;

    options.stop.drain();
    let refused = async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), refused).await.expect("the listener closes");
    release.notify_one();
    assert_eq!(call.await.expect("no panic").2, "done");
    tokio::time::timeout(Duration::from_secs(5), serving.finished()).await.expect("everything ends");
}

#[tokio::test]
async fn a_stop_is_bounded_in_time() {
    let options = options();
    let entered = Arc::new(Notify::new());
    let router = Router::new().route(
        "/never",
        get({
            let entered = Arc::clone(&entered);
            async move || {
                entered.notify_one();
                std::future::pending::<&'static str>().await
            }
        }),
    );
    let mut serving = Server::http(ANY, "http").expect("a free port").serve_http(router, &options).expect("served");
    let addr = serving.addr();
    let endless = tokio::spawn(async move {
        let request = Request::builder().uri(format!("http://{addr}/never")).body(Body::empty()).expect("a request");
        client(false).request(request).await.map(|answer| answer.status())
    });
    entered.notified().await;
    let clean = options.stop.within(Duration::from_millis(20), async { serving.finished().await }).await;
    assert!(!clean, "the call would never have ended");
    let cut_off = endless.await.expect("no panic").expect("and is told so");
    assert_eq!(cut_off, StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn connections_live_for_five_minutes_give_or_take_a_tenth() {
    struct Fixed(u8);
    impl Randomness for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }
    assert_eq!(age(&Fixed(0)), Duration::from_secs(270));
    assert_eq!(age(&Fixed(255)), Duration::from_secs(330));
}

#[tokio::test]
async fn concurrent_panics_leave_the_server_answering() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let router = Router::new().route(
        "/",
        get(
            async || {
                if CALLS.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) { panic!("every other call") } else { "ok" }
            },
        ),
    );
    let options = options();
    let serving = Server::grpc(ANY, 0).expect("a free port").serve(router, &options).expect("served");
    let client = client(true);
    let calls = (0..32).map(|_| ask(&client, serving.addr(), "/", None));
    let answers = futures::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|(_, _, body)| body == "ok").count(), 16);
}

/// What comes back on a connection until it is closed, for a GET that is sent now.
async fn get_on(stream: &mut TcpStream, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer, and then the end");
    answer
}

#[tokio::test]
async fn a_stop_that_is_announced_lets_http_1_go_after_its_next_answer() {
    let options = options();
    let serving = Server::http(ANY, "http").expect("a free port").serve_http(routes(), &options).expect("served");
    let (old, new) = (TcpStream::connect(serving.addr()), async {
        options.stop.leave();
        TcpStream::connect(serving.addr()).await
    });
    for mut stream in [old.await.expect("connected"), new.await.expect("still accepted")] {
        let answer = get_on(&mut stream, "/hello").await.to_lowercase();
        assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("hello"), "{answer}");
    }
    let http2 = client(true);
    assert_eq!(ask(&http2, serving.addr(), "/hello", None).await.2, "hello");
}

/// Nothing runs between the connecting and the stop on a runtime of one thread: the server has not accepted, but the clients are
/// connected, and their requests are on their way.
#[tokio::test]
async fn connections_in_the_queue_are_served_before_the_listener_closes() {
    let options = options();
    let mut serving = Server::http(ANY, "http").expect("a free port").serve_http(routes(), &options).expect("served");
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let mut stream = std::net::TcpStream::connect(serving.addr()).expect("connected");
        std::io::Write::write_all(&mut stream, b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
        stream.set_nonblocking(true).expect("set");
        waiting.push(TcpStream::from_std(stream).expect("registered"));
    }
    options.stop.drain();
    for mut stream in waiting {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("not reset");
        assert!(answer.ends_with("hello"), "{answer:?}");
    }
    serving.finished().await;
}

/// As above: what waits for calls in flight must not take the queue for nothing.
#[tokio::test]
async fn a_stop_is_not_quiet_before_the_queue_is_served() {
    let options = options();
    let serving = Server::http(ANY, "http").expect("a free port").serve_http(routes(), &options).expect("served");
    let mut waiting = std::net::TcpStream::connect(serving.addr()).expect("connected");
    std::io::Write::write_all(&mut waiting, b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    waiting.set_nonblocking(true).expect("set");
    options.stop.drain();
    options.stop.quiet().await;
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut waiting, &mut answer).expect("answered, and closed");
    assert!(answer.ends_with("hello"), "{answer:?}");
}

#[tokio::test]
async fn no_more_is_taken_at_a_stop_than_the_queue_may_have_held() {
    let (options, metrics) = (options(), Metrics::new("test", "0"));
    let listener = Listener::bind(ANY, "http").expect("a free port");
    let addr = listener.addr();
    let (alive, _running) = mpsc::channel(1);
    let terms = Terms {
        service: routes().with_state(()),
        protocol: Protocol::Http,
        builder: connection::builder(Protocol::Http),
        stop: options.stop.clone(),
        calls: None,
        tls: None,
        secured: None,
        vouched: None,
    };
    let mut accepting = Accepting {
        terms,
        random: Arc::clone(&options.random),
        room: Room::new("http", 10, Some(&metrics)),
        trouble: Trouble::default(),
        alive,
        _listening: options.stop.traffic.listener(),
    };
    let _waiting = [0; 3].map(|_| std::net::TcpStream::connect(addr).expect("connected"));
    accepting.take_the_rest(listener.register().expect("registered"), 2).expect("taken");
    let told = metrics.render();
    assert!(told.contains("tessera_connections{listener=\"http\"} 2"), "{told}");
}

/// As where a call blocks its event loop.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_ends_does_not_keep_its_process() {
    let (_alive, running) = mpsc::channel(1);
    let mut servers = [Serving { addr: ANY, running }];
    let (health, stop) = (Health::new(), Stop::new());
    let drain = Drain { health: &health, stop: &stop, servers: &mut servers, spans: &Stopping::at_once() };
    let stopped = tokio::time::timeout(Duration::from_mins(1), drain.run(std::future::pending()));
    stopped.await.expect("within the bound of docs/operations/stopping.md");
}

#[tokio::test]
async fn a_call_that_is_cut_off_is_told_so() {
    let options = options();
    let grpc = Server::grpc(ANY, 0).expect("a free port").serve(routes(), &options).expect("served");
    let http = Server::http(ANY, "http").expect("a free port").serve_http(routes(), &options).expect("served");
    let (to_grpc, to_http) = (grpc.addr(), http.addr());
    let calls = [
        tokio::spawn(async move { ask(&client(true), to_grpc, "/never", None).await }),
        tokio::spawn(async move { ask(&client(false), to_http, "/never", None).await }),
    ];
    while options.stop.calls() < 2 {
        tokio::task::yield_now().await;
    }
    options.stop.end();
    let [grpc, http] = calls;
    assert_eq!(grpc.await.expect("answered").1["grpc-status"], "14");
    assert_eq!(http.await.expect("answered").0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_connection_too_many_is_closed_at_once_and_the_others_go_on() {
    let mut options = options();
    options.connections = 2;
    let serving = Server::http(ANY, "http").expect("a free port").serve_http(routes(), &options).expect("served");
    let mut inside = [
        TcpStream::connect(serving.addr()).await.expect("connected"),
        TcpStream::connect(serving.addr()).await.expect("connected"),
    ];
    let mut third = TcpStream::connect(serving.addr()).await.expect("by the operating system");
    assert_eq!(third.read(&mut [0; 1]).await.expect("closed"), 0);
    let [first, second] = &mut inside;
    options.stop.leave();
    assert!(get_on(first, "/hello").await.ends_with("hello"));
    // The place of the first is free as soon as its connection has ended at the server, too.
    let again = async {
        loop {
            let mut stream = TcpStream::connect(serving.addr()).await.expect("connected");
            let _ = stream.write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let mut answer = String::new();
            if stream.read_to_string(&mut answer).await.is_ok() && answer.ends_with("hello") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), again).await.expect("a place is free again");
    assert!(get_on(second, "/hello").await.ends_with("hello"));
}
