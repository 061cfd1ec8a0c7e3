use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::random::SystemRandom;
use crate::serve::{Options, Server, Serving, Stop};

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

struct Setting {
    metrics: Metrics,
    serving: Serving,
}

fn serve(telemetry: &Telemetry) -> Setting {
    let metrics = Metrics::new("test", "0");
    let calls = Calls::new(telemetry, &metrics, &[]);
    let traced = || async { if is_traced() { "traced" } else { "not traced" } };
    let router = Router::new()
        .route("/things/{id}", get(traced))
        .route("/panics", get(async || -> &'static str { panic!("a bug") }));
    let options = Options::new(Stop::new(), Arc::new(SystemRandom));
    let server = Server::http(ANY, "http").expect("a free port").seen_by(&calls);
    let serving = server.serve_http(crate::http::error::with_fallbacks(router), &options).expect("served");
    Setting { metrics, serving }
}

impl Setting {
    async fn ask(&self, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(self.serving.addr()).await.expect("connected");
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }
}

#[tokio::test]
async fn requests_are_measured_by_route_and_never_by_path() {
    let setting = serve(&Telemetry::default());
    for path in ["/things/secret-1", "/things/secret-2", "/secret-3?x=secret-4", "/panics"] {
        setting.ask(path, "").await;
    }
    let text = setting.metrics.render();
    for (route, status, count) in [("/things/{id}", 200, 2), ("unmatched", 404, 1), ("/panics", 500, 1)] {
        let labels = format!("{{route=\"{route}\",method=\"GET\",status=\"{status}\"}}");
        let line = format!("http_server_request_duration_seconds_count{labels} {count}");
        assert!(text.contains(&line), "{line} is missing from\n{text}");
    }
    assert!(text.contains("le=\"0.000025\""), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn an_answer_names_its_request() {
    let setting = serve(&Telemetry::default());
    assert!(setting.ask("/things/1", "x-request-id: mine-1\r\n").await.contains("x-request-id: mine-1\r\n"));
    let answer = setting.ask("/nothing", "x-request-id: tsk_astray\r\n").await;
    assert!(answer.contains("x-request-id: ") && !answer.contains("tsk_"), "{answer}");
}

#[tokio::test]
async fn nothing_is_traced_where_tracing_is_off_or_nobody_exports() {
    let asked = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    let on = Telemetry { otlp_endpoint: "http://127.0.0.1:1".to_owned(), sample_ratio: 1.0, ..Telemetry::default() };
    for telemetry in [Telemetry::default(), on] {
        let setting = serve(&telemetry);
        assert!(setting.ask("/things/1", asked).await.ends_with("not traced"));
    }
}
