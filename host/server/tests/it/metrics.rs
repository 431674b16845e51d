//! What Prometheus reads.

use expect_test::expect;

use crate::client::{Running, call};
use crate::folder::Folder;

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_counted() {
    let folder = Folder::new();
    folder.put_good("toy", &[3]);
    let server = Running::start(folder.open()).await;
    for rows in [1, 2] {
        assert_eq!(
            server.post("/v2/models/toy/infer", call(rows)).await.status,
            200
        );
    }
    server.post("/v2/models/toy/infer", "{").await;
    server.post("/v2/models/missing/infer", call(1)).await;
    server.get("/nothing").await;

    let answer = server.get("/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = answer.text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    expect![[r#"
        tensorlet_http_requests_total counter
        tensorlet_http_request_seconds histogram
        tensorlet_http_connections gauge
        tensorlet_call_errors_total counter
        tensorlet_resident_memory_bytes gauge
        tensorlet_version_state gauge
        tensorlet_version_loads_total counter
        tensorlet_version_load_seconds gauge
        tensorlet_calls_total counter
        tensorlet_calls_retried_total counter
        tensorlet_queued_calls gauge
        tensorlet_queued_rows gauge
        tensorlet_circuit_open gauge
        tensorlet_queue_delay_seconds histogram
        tensorlet_batch_wait_seconds histogram
        tensorlet_overloaded gauge
        tensorlet_batches_total counter
        tensorlet_padding_rows_total counter
        tensorlet_running_batches gauge
        tensorlet_free_workers gauge
        tensorlet_execution_seconds histogram
        tensorlet_copy_seconds histogram
        tensorlet_batch_size_rows histogram
        tensorlet_pool_slots gauge
        tensorlet_memory_bytes gauge
        tensorlet_offload_runs_total counter
        tensorlet_offload_fallbacks_total counter"#]]
    .assert_eq(&types.collect::<Vec<_>>().join("\n"));
    for line in [
        r#"tensorlet_calls_total{model="toy",version="3",outcome="succeeded"} 2"#,
        r#"tensorlet_call_errors_total{kind="model_not_found"} 1"#,
        r#"tensorlet_batch_size_rows_bucket{model="toy",version="3",le="1"} 1"#,
        r#"tensorlet_batch_size_rows_bucket{model="toy",version="3",le="2"} 2"#,
        r#"tensorlet_batch_size_rows_bucket{model="toy",version="3",le="+Inf"} 2"#,
        r#"tensorlet_batch_size_rows_sum{model="toy",version="3"} 3.0"#,
        r#"tensorlet_queue_delay_seconds_count{model="toy",version="3"} 2"#,
        r#"tensorlet_version_state{model="toy",version="3",state="ready"} 1.0"#,
        r#"tensorlet_http_requests_total{route="/v2/models/{model}/infer",status="200"} 2"#,
        r#"tensorlet_http_requests_total{route="/v2/models/{model}/infer",status="400"} 1"#,
        r#"tensorlet_http_requests_total{route="/v2/models/{model}/infer",status="404"} 1"#,
        r#"tensorlet_http_requests_total{route="other",status="404"} 1"#,
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "expected {line}, found\n{text}"
        );
    }
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    assert!(
        samples.clone().all(|line| line.starts_with("tensorlet_")),
        "{text}"
    );
}
