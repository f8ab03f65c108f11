use std::time::Duration;

use tachograph::access::AccessConfig;

use super::{BOTH, PATHS, bearer, guarded, start};

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_keeps_browsers_from_framing_guessing_and_telling() {
    let stage = start(guarded()).await;
    let shown = bearer(BOTH);
    let paths = PATHS.iter().filter(|path| **path != "/api/v1/stream");
    for path in paths.chain(&["/sign-in", "/healthz"]) {
        for headers in [&[&*shown][..], &[]] {
            let answer = stage.ask(&format!("GET {path}"), headers).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert!(["DENY", "SAMEORIGIN"].contains(&answer.header("x-frame-options")), "{path}: {answer:?}");
            assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{path}");
            let policy = answer.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors"), "{path}: {policy}");
            assert!(["no-referrer", "same-origin"].contains(&answer.header("referrer-policy")), "{path}");
            assert_eq!(answer.all("x-frame-options").count(), 1, "{path}");
            assert_eq!(answer.all("content-security-policy").count(), 1, "{path}");
        }
    }
    let page = stage.ask("GET /", &[&shown]).await;
    assert!(page.header("content-security-policy").ends_with("frame-ancestors 'self'"), "{page:?}");
    assert_eq!(stage.ask("GET /metrics", &[&shown]).await.header("x-frame-options"), "DENY");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_name_of_a_label_makes_no_formula_and_no_row() {
    let stage = start(AccessConfig::default()).await;
    let descriptor = tachograph::registry::Descriptor::new("taken", "Taken").label("by");
    let taken = stage.tacho.registry().counter(&descriptor).unwrap();
    taken.with(&[("by", "=cmd|' /C calc'!A0\",\"\r\n=1+1,\t@SUM(A1);=1+1;")]).unwrap().inc();
    let mut table = String::new();
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        table = stage.ask("GET /api/v1/history?metric=taken&format=csv", &[]).await.body;
        if table.contains("calc") {
            break;
        }
    }
    assert!(table.contains("calc"), "{table}");
    for line in table.lines() {
        assert!(!line.starts_with(['=', '+', '-', '@', '\t']), "{table}");
    }
    assert!(!table.contains("\",\"=") && !table.contains("\n=") && !table.contains('\t'), "{table}");
    assert!(table.contains(";'=1+1;"), "where cells are separated by semicolons: {table}");
}
