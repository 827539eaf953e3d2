//! The spans of a request, as a collector receives them.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use http::Response;
use http_body_util::BodyExt;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use support::Served;
use support::server::{self, Reply, Server};

use crate::services::Services;

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT_ID: &str = "b7ad6b7169203331";
const PATH: &str = "/users/dwight_schrute/suggested";

/// A server that takes spans.
struct Collector {
    served: Served,
    spans: mpsc::Receiver<Span>,
}

impl Collector {
    fn start() -> Self {
        support::prepare(&support::folder("tests/guest"));
        let (sender, spans) = mpsc::channel();
        let app =
            support::loader(&support::folder("tests/guest")).replace("guest", move |request| {
                let sender = sender.clone();
                async move {
                    let is_expected = request.uri().path() == "/guest/v1/traces";
                    let body = request.into_body().collect().await.expect("a body").to_bytes();
                    let export = ExportTraceServiceRequest::decode(body).expect("an export");
                    assert!(is_expected, "the path of OTLP");
                    let scopes =
                        export.resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
                    scopes.flat_map(|scope| scope.spans).for_each(|span| _ = sender.send(span));
                    Response::new(host::empty())
                }
            });
        Self { served: support::serve(app.load().expect("an application")), spans }
    }

    /// What a server must find in its environment.
    fn environment(&self) -> [(&'static str, String); 2] {
        let endpoint = format!("http://{}/guest", self.served.address);
        [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "50".into())]
    }

    /// The first `count` spans as a tree below the client's span.
    fn tree(&self, count: usize) -> String {
        let next = || self.spans.recv_timeout(Duration::from_secs(60)).expect("a span in time");
        let mut children: BTreeMap<String, Vec<Span>> = BTreeMap::new();
        for span in std::iter::repeat_with(next).take(count) {
            assert_eq!(hex(&span.trace_id), TRACE_ID, "{span:?}");
            assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
            children.entry(hex(&span.parent_span_id)).or_default().push(span);
        }
        below(&children, PARENT_ID, "\n")
    }
}

/// The spans below `parent`, each on a line that begins with `indent`: its kind, its name,
/// the server that was asked, and the status of the response.
fn below(children: &BTreeMap<String, Vec<Span>>, parent: &str, indent: &str) -> String {
    let spans = children.get(parent).into_iter().flatten();
    let trees = spans.map(|span| {
        let attributes = ["server.address", "http.response.status_code"];
        let attributes = attributes.map(|name| attribute(span, name)).concat();
        let rest = below(children, &hex(&span.span_id), &format!("{indent}  "));
        format!("{indent}{:?} {}{attributes}{rest}", span.kind(), span.name)
    });
    // They end in any order.
    let mut trees: Vec<_> = trees.collect();
    trees.sort();
    trees.concat()
}

fn attribute(span: &Span, name: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == name);
    match found.and_then(|attribute| attribute.value.clone()?.value) {
        Some(Value::StringValue(text)) => format!(" {text}"),
        Some(Value::IntValue(number)) => format!(" {number}"),
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn ask(address: &str) {
    let parent = format!("traceparent: 00-{TRACE_ID}-{PARENT_ID}-01\r\n");
    assert_eq!(Reply::expect(address, "GET", PATH, &parent, None).status, 200);
}

#[test]
fn the_spans_of_services_together_are_one_tree() {
    let collector = Collector::start();
    let state = tempfile::tempdir().expect("a folder");
    let mut command = server::command(&support::application(), state.path());
    command.envs(collector.environment());
    let server = Server::start(command);
    ask(&server.address);
    let expected = "
Server GET /users/... 200
  Internal execute_wasm_component users
    Client GET bookings.spin.internal 200
      Internal execute_wasm_component bookings
    Client GET movies.spin.internal 200
      Internal execute_wasm_component movies";
    assert_eq!(collector.tree(6), expected);
}

#[test]
fn the_spans_of_services_in_processes_of_their_own_are_one_tree() {
    let collector = Collector::start();
    let services = Services::start_with(30_000, |command| {
        command.envs(collector.environment());
    });
    ask(&services.address);
    let expected = "
Server GET /users/... 200
  Client GET 127.0.0.1 200
    Server GET /users/... 200
      Internal execute_wasm_component users
        Client GET 127.0.0.1 200
          Server GET /bookings/... 200
            Internal execute_wasm_component bookings
        Client GET 127.0.0.1 200
          Server GET /movies/... 200
            Internal execute_wasm_component movies";
    assert_eq!(collector.tree(10), expected);
}
