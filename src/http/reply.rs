//! Answers: plain texts, JSON with `jsonp`, the original's default bodies, and errors as answers.

use super::query::Query;
use crate::base::error::{Code, Error};
use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A request that is not served: the answer it gets. Boxed, so that results stay small.
#[derive(Debug)]
pub struct Refusal(Box<Response>);

impl Refusal {
    /// A refusal with a plain text.
    pub fn new(status: StatusCode, body: impl Into<String>) -> Self {
        text(status, body).into()
    }

    /// 400 with a text.
    pub fn bad_request(body: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, body)
    }

    /// A refusal with that status's default body.
    pub fn of(status: StatusCode) -> Self {
        Self::new(status, default_body(status).unwrap_or_default())
    }

    /// The answer itself.
    pub fn response(self) -> Response {
        *self.0
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }
}

impl From<Response> for Refusal {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl From<Error> for Refusal {
    /// The cause and the hint as text, under the status that fits the code.
    fn from(error: Error) -> Self {
        let status = status_of(error.code);
        let body = match error.hint {
            Some(hint) => format!("{}. {hint}", error.cause),
            None => error.cause,
        };
        let mut response = text(status, body);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response.into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// The status that says what the code says.
pub fn status_of(code: Code) -> StatusCode {
    match code {
        Code::Invalid => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Conflict => StatusCode::CONFLICT,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::Overloaded | Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Code::Corrupt | Code::System | Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A plain-text answer.
pub fn text(status: StatusCode, body: impl Into<String>) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], body.into()).into_response()
}

/// What the original says when it says nothing more.
pub fn default_body(status: StatusCode) -> Option<&'static str> {
    Some(match status.as_u16() {
        400 => "400 Bad Request.",
        401 => "401 Unauthorized.",
        403 => "403 Forbidden.",
        404 => "404 Not Found.",
        406 => "406 Not Acceptable.",
        409 => "409 Conflict.",
        412 => "412 Precondition Failed.",
        415 => "415 Unsupported Media Type.",
        500 => "500 Internal Server Error.",
        501 => "501 Not Implemented.",
        503 => "503 Service Unavailable.",
        _ => return None,
    })
}

/// 200 with the value as JSON, or wrapped in the callback that `?jsonp=` names.
///
/// # Errors
/// 400 when the callback is no identifier; 500 when the value cannot be written.
pub fn json(value: &impl Serialize, query: &Query) -> Result<Response, Refusal> {
    match serde_json::to_vec(value) {
        Ok(bytes) => json_bytes(bytes, query),
        Err(e) => Err(Error::new(Code::Internal, format!("cannot write the answer: {e}")).into()),
    }
}

/// The same for JSON that is already written.
///
/// # Errors
/// 400 when the callback is no identifier.
pub fn json_bytes(json: Vec<u8>, query: &Query) -> Result<Response, Refusal> {
    let Some(callback) = query.jsonp()? else {
        let kind = HeaderValue::from_static("application/json");
        return Ok(([(CONTENT_TYPE, kind)], Body::from(json)).into_response());
    };
    let mut wrapped = Vec::with_capacity(callback.len() + json.len() + 2);
    wrapped.extend_from_slice(callback.as_bytes());
    wrapped.push(b'(');
    wrapped.extend_from_slice(&json);
    wrapped.push(b')');
    let kind = HeaderValue::from_static("text/javascript");
    Ok(([(CONTENT_TYPE, kind)], Body::from(wrapped)).into_response())
}

/// 405 as the original words it. HEAD is not named: it works wherever GET does.
pub fn method_not_allowed(allowed: &[&str], got: &Method) -> Response {
    let quoted: Vec<_> = allowed.iter().map(|m| format!("'{m}'")).collect();
    let body = format!(
        "405 Method Not Allowed. Expecting one of {{ {} }}, but received '{got}'.",
        quoted.join(", ")
    );
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, body);
    if let Ok(value) = HeaderValue::from_str(&allowed.join(", ")) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    #[tokio::test]
    async fn errors_become_texts_with_a_fitting_status() {
        let error = Error::new(Code::Overloaded, "the queue is full").hint("Try again.");
        let response = Refusal::from(error).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        assert_eq!(body, "the queue is full. Try again.");
    }

    #[tokio::test]
    async fn jsonp_wraps_and_takes_identifiers_only() {
        let of = |query: &str| json(&serde_json::json!({"a": 1.0}), &Query::parse(query));
        let response = of("jsonp=angular.callbacks._0").unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], "text/javascript");
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        assert_eq!(body, "angular.callbacks._0({\"a\":1.0})");
        for bad in ["jsonp=alert(1)", "jsonp=1a", "jsonp=", "jsonp=a%20b", "jsonp=a%3Cb"] {
            assert_eq!(of(bad).unwrap_err().status(), 400, "{bad}");
        }
        let long = format!("jsonp={}", "a".repeat(101));
        assert_eq!(of(&long).unwrap_err().status(), 400);
        assert_eq!(of("").unwrap().headers()[CONTENT_TYPE], "application/json");
    }

    #[tokio::test]
    async fn a_wrong_method_is_told_what_is_expected() {
        let response = method_not_allowed(&["GET", "POST"], &Method::PUT);
        assert_eq!(response.headers()[ALLOW], "GET, POST");
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        let said =
            "405 Method Not Allowed. Expecting one of { 'GET', 'POST' }, but received 'PUT'.";
        assert_eq!(body, said);
    }
}
