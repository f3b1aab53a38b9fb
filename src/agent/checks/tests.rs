//! Checks against small servers, and commands in containers that are none.

use super::*;
use crate::agent::api::tests::fake::Fake;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;

const SOON: Option<Duration> = Some(Duration::from_millis(100));
const LATE: Option<Duration> = Some(Duration::from_secs(30));

async fn outcome(check: CheckKind, timeout: Option<Duration>) -> CheckOutcome {
    run(Arc::new(Fake::default()), &"c1".into(), &check, timeout).await
}

fn http(port: u16, path: &str) -> CheckKind {
    CheckKind::Http { scheme: "http".into(), ipv6: false, port, path: path.into(), mapped: false }
}

/// A port that answers connections with nothing.
async fn mute() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            taken.push(socket);
        }
    });
    port
}

/// A port that nobody listens at.
async fn dead() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("bound").port()
}

#[tokio::test]
async fn http_tells_the_status_after_redirects() {
    let routes = axum::Router::new()
        .route("/good", get(async || "good"))
        .route("/bad", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/moved", get(async || Redirect::temporary("/bad")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    for (path, status) in [("/good", 200), ("/bad", 503), ("/moved", 503), ("/none", 404)] {
        let outcome = outcome(http(port, path), LATE).await;
        assert_eq!(outcome, CheckOutcome::Http(status), "{path}");
    }
}

#[tokio::test]
async fn http_that_cannot_be_is_told() {
    let refused = outcome(http(dead().await, "/"), LATE).await;
    let CheckOutcome::Failed(why) = refused else { panic!("{refused:?}") };
    assert!(why.starts_with("cannot connect to 127.0.0.1:"), "{why}");
    let late = outcome(http(mute().await, "/"), SOON).await;
    assert_eq!(late, CheckOutcome::Failed("timed out after 100ms".into()));
}

#[tokio::test]
async fn tcp_tells_whether_it_connects() {
    let at = |port| CheckKind::Tcp { ipv6: false, port, mapped: false };
    assert_eq!(outcome(at(mute().await), LATE).await, CheckOutcome::Tcp(true));
    assert_eq!(outcome(at(dead().await), LATE).await, CheckOutcome::Tcp(false));
}

#[tokio::test]
async fn commands_run_in_the_container_with_their_own_variables() {
    let variable = |name: &str, value: &str| v1::environment::Variable {
        name: name.into(),
        value: Some(value.into()),
        ..Default::default()
    };
    let environment = Some(v1::Environment { variables: vec![variable("A", "1")] });
    let shell = v1::CommandInfo {
        value: Some("test $A = 1".into()),
        environment: environment.clone(),
        ..Default::default()
    };
    let argv = v1::CommandInfo {
        shell: Some(false),
        value: Some("/bin/test".into()),
        arguments: vec!["test".into(), "-e".into(), "x y".into()],
        environment,
        ..Default::default()
    };
    let fake = Arc::new(Fake::default());
    *fake.exec_status.lock().expect("whole") = Some(7 << 8);
    for (command, wanted) in [
        (shell.clone(), vec!["/bin/sh", "-c", "test $A = 1"]),
        (argv, vec!["/bin/test", "-e", "x y"]),
    ] {
        let outcome = run(fake.clone(), &"c1".into(), &CheckKind::Command(command), LATE).await;
        assert_eq!(outcome, CheckOutcome::Command(7));
        let (container, request) = fake.execs.lock().expect("whole").pop().expect("asked");
        assert_eq!(
            (container.as_str(), request.argv),
            ("c1", wanted.iter().map(|w| w.to_string()).collect())
        );
        assert_eq!(request.env, [("A".to_string(), "1".to_string())]);
        assert_eq!(Some(request.timeout), LATE);
    }
    *fake.exec_status.lock().expect("whole") = None;
    let kind = CheckKind::Command(shell);
    let late = run(fake.clone(), &"c1".into(), &kind, LATE).await;
    assert_eq!(late, CheckOutcome::Failed("timed out after 30secs".into()));
    *fake.exec_status.lock().expect("whole") = Some(libc::SIGSEGV);
    let ended = run(fake, &"c1".into(), &kind, LATE).await;
    assert_eq!(ended, CheckOutcome::Failed("the command was ended by signal 11".into()));
}
