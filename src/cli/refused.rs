//! How the services refuse, made into errors that people can act on: status to kind, body to sentences.

use super::client::Service;
use super::output::{list, text};
use crate::base::error::{Code, Error};
use serde_json::Value;

/// At most this many lines of a refusal are shown.
const DETAILS_MAX: usize = 50;
/// At most this many characters of a body that is no JSON are shown.
const BODY_CHARS_MAX: usize = 500;

/// The error that an answer other than 2xx stands for.
pub fn refusal(service: Service, status: u16, body: &str) -> Error {
    if status == 401 {
        return Error::new(
            Code::Forbidden,
            format!("{} wants to know who you are", service.name()),
        )
        .hint("give --principal NAME:SECRET, or set MESOLITH_PRINCIPAL");
    }
    let code = match status {
        400 | 405 | 406 | 413 | 415 | 422 => Code::Invalid,
        403 => Code::Forbidden,
        404 => Code::NotFound,
        409 => Code::Conflict,
        502 | 503 => Code::Unavailable,
        _ => Code::Internal,
    };
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    match service {
        Service::Marathon if json.is_object() => marathon(code, &json),
        Service::Chronos if json.is_object() => chronos(code, &json),
        _ => {
            let body: String = body.trim().chars().take(BODY_CHARS_MAX).collect();
            let error = Error::new(code, format!("{} answered {status}: {body}", service.name()));
            match (service, code) {
                // A node without a leader, or one that is no member, knows what it waits for.
                (Service::Master, Code::Unavailable) => error.hint(
                    "see what it waits for with `mesolith cluster status`, or ask another node \
                     with --master HOST:PORT",
                ),
                _ => error,
            }
        }
    }
}

/// `{"message", "details": [{"path", "errors"}] | text, "deployments": [{"id"}]}`
fn marathon(code: Code, body: &Value) -> Error {
    let mut cause = format!("Marathon refuses it: {}", text(body, "message"));
    match &body["details"] {
        Value::String(details) => cause.push_str(&format!(": {details}")),
        Value::Array(details) => {
            for detail in details.iter().take(DETAILS_MAX) {
                let errors: Vec<String> =
                    list(detail, "errors").iter().filter_map(Value::as_str).map(meaning).collect();
                cause.push_str(&format!("\n{}: {}", text(detail, "path"), errors.join("; ")));
            }
            if let Some(more) = details.len().checked_sub(DETAILS_MAX).filter(|n| *n > 0) {
                cause.push_str(&format!("\n… and {more} more"));
            }
        }
        _ => {}
    }
    let deployments: Vec<String> =
        list(body, "deployments").iter().map(|d| text(d, "id")).collect();
    match code {
        Code::NotFound => Error::new(code, text(body, "message"))
            .hint("list what there is with `mesolith app ls`"),
        Code::Conflict if !deployments.is_empty() => {
            let which = deployments.join(", ");
            let cause = format!("another change is being deployed: deployment {which}");
            Error::new(code, cause).hint("wait until it is done, or override it with --force")
        }
        _ => Error::new(code, cause),
    }
}

/// What Marathon's JSON reader means by its tokens.
fn meaning(token: &str) -> String {
    let words = match token {
        "error.path.missing" => "is missing",
        "error.expected.jsstring" => "must be a text",
        "error.expected.jsnumber" => "must be a number",
        "error.expected.int" => "must be a whole number",
        "error.expected.jsarray" => "must be a list",
        "error.expected.jsobject" => "must be an object",
        "error.expected.jsboolean" => "must be true or false",
        "error.min" => "is too small",
        "error.max" => "is too large",
        "error.minLength" => "is too short",
        "error.maxLength" => "is too long",
        "error.pattern" => "has characters that are not allowed here",
        "error.unknown.enum.literal" => "is none of the words allowed here",
        other => return other.to_string(),
    };
    format!("{words} ({token})")
}

/// `{"message", "status", "field"}`; an original's message may be a whole stack trace.
fn chronos(code: Code, body: &Value) -> Error {
    let message = text(body, "message");
    let first = message.lines().next().unwrap_or_default();
    let first = first.rsplit_once("requirement failed: ").map_or(first, |(_, rest)| rest);
    // An unknown job is a bad request to Chronos.
    if code == Code::NotFound || (first.starts_with("Job") && first.ends_with("not found")) {
        return Error::new(Code::NotFound, first).hint("list them with `mesolith job ls`");
    }
    let mut cause = format!("Chronos refuses it: {first}");
    if let Some(field) = body["field"].as_str().filter(|f| !f.is_empty()) {
        cause.push_str(&format!("\nfield: {field}"));
    }
    Error::new(code, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_an_invalid_app_is_a_line() {
        let body = r#"{"message":"Object is not valid","details":[
            {"path":"/id","errors":["error.pattern"]},
            {"path":"/instances","errors":["error.expected.int","odd"]}]}"#;
        let error = refusal(Service::Marathon, 422, body);
        assert_eq!(error.code, Code::Invalid);
        assert_eq!(
            error.cause,
            "Marathon refuses it: Object is not valid\n\
             /id: has characters that are not allowed here (error.pattern)\n\
             /instances: must be a whole number (error.expected.int); odd"
        );
    }

    #[test]
    fn a_lock_names_its_deployments_and_the_way_around_it() {
        let body = r#"{"message":"App is locked …","deployments":[{"id":"5cd9"},{"id":"77aa"}]}"#;
        let error = refusal(Service::Marathon, 409, body);
        assert_eq!(error.code, Code::Conflict);
        assert!(error.cause.contains("5cd9, 77aa"), "{error:?}");
        assert!(error.hint.is_some_and(|h| h.contains("--force")));
    }

    #[test]
    fn texts_of_details_and_bodies_that_are_no_json_are_shown() {
        let body = r#"{"message":"Invalid JSON","details":"Unexpected end-of-input"}"#;
        let error = refusal(Service::Marathon, 400, body);
        assert!(error.cause.ends_with("Invalid JSON: Unexpected end-of-input"), "{error:?}");
        let error = refusal(Service::Marathon, 500, "<html>");
        assert_eq!(
            (error.code, error.cause.as_str()),
            (Code::Internal, "Marathon answered 500: <html>")
        );
    }

    #[test]
    fn an_unknown_job_is_not_found_and_a_bad_one_names_its_field() {
        let unknown = r#"{"message":"Job 'x' not found","status":"Bad Request"}"#;
        assert_eq!(refusal(Service::Chronos, 400, unknown).code, Code::NotFound);
        let trace = concat!(
            r#"{"message":"java.lang.IllegalArgumentException: requirement failed: "#,
            r#"JobSchedule 'x' not found\n\tat a.b","status":"Bad Request"}"#,
        );
        let error = refusal(Service::Chronos, 400, trace);
        assert_eq!(
            (error.code, error.cause.as_str()),
            (Code::NotFound, "JobSchedule 'x' not found")
        );
        let bad =
            r#"{"message":"Cannot parse schedule 'S'","status":"Bad Request","field":"schedule"}"#;
        let error = refusal(Service::Chronos, 400, bad);
        assert_eq!(error.code, Code::Invalid);
        assert!(error.cause.ends_with("'S'\nfield: schedule"), "{error:?}");
    }

    #[test]
    fn a_node_without_a_leader_is_told_apart_from_one_that_refuses() {
        let error = refusal(Service::Master, 503, "no master leads: 1 of 3 voters visible. wait");
        assert_eq!(error.code, Code::Unavailable);
        assert!(error.cause.contains("1 of 3 voters visible"), "{error:?}");
        assert!(error.hint.is_some_and(|h| h.contains("cluster status") && h.contains("--master")));
        let error = refusal(Service::Master, 409, "it is alive and a voter");
        assert_eq!((error.code, error.hint), (Code::Conflict, None));
    }

    #[test]
    fn who_is_not_known_is_told_how_to_say_it() {
        for service in [Service::Master, Service::Marathon, Service::Chronos] {
            let error = refusal(service, 401, "");
            assert_eq!(error.code, Code::Forbidden);
            assert!(error.hint.is_some_and(|h| h.contains("--principal")));
        }
    }
}
