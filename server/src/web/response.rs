//! Answers: what each of them has in its head, and how errors look.

use bytes::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, REFERRER_POLICY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response as HyperResponse, StatusCode};
use serde::Serialize;

/// An answer, whole.
pub(crate) type Response = HyperResponse<Bytes>;

/// The head of every answer: a page runs its own script and nothing else, and nothing of it is kept or shown elsewhere.
const ALWAYS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (CACHE_CONTROL, "no-store"),
];

/// Why a request is not answered with what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// One line for who asked.
    pub(crate) error: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Refusal {
        Refusal { status, error: error.into() }
    }

    /// The request is not one that is understood.
    pub(crate) fn bad(error: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, error)
    }

    /// Who asks may not have it.
    pub(crate) fn forbidden(error: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::FORBIDDEN, error)
    }

    pub(crate) fn response(&self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
        }
        let mut response = json_with(self.status, &Body { error: &self.error });
        let more = match self.status {
            StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Basic realm=\"rushq\", charset=\"UTF-8\"")),
            StatusCode::METHOD_NOT_ALLOWED => Some((ALLOW, "GET, HEAD, POST")),
            _ => None,
        };
        more.into_iter().for_each(|(name, value)| {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        });
        response
    }
}

/// A value, as JSON.
pub(crate) fn json(value: &impl Serialize) -> Response {
    json_with(StatusCode::OK, value)
}

fn json_with(status: StatusCode, value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).expect("keys are text, and numbers are finite");
    with(status, "application/json", Bytes::from(body))
}

/// Something of this content type.
pub(crate) fn with(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A file of the page: a browser may keep it as long as it asks each time whether it is the same.
pub(crate) fn file(
    content_type: &'static str,
    body: &'static str,
    tag: &HeaderValue,
    known: Option<&HeaderValue>,
) -> Response {
    let is_known = known.and_then(|known| known.to_str().ok()).is_some_and(|known| {
        known.split(',').any(|known| known.trim().trim_start_matches("W/").as_bytes() == tag.as_bytes())
    });
    let (status, body) = if is_known { (StatusCode::NOT_MODIFIED, "") } else { (StatusCode::OK, body) };
    let mut response = with(status, content_type, Bytes::from_static(body.as_bytes()));
    response.headers_mut().insert(ETAG, tag.clone());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_kept_from_sniffers_frames_and_caches() {
        for response in [json(&1), Refusal::bad("no").response(), with(StatusCode::OK, "text/plain", "x")] {
            let head = |name: &HeaderName| response.headers()[name].to_str().expect("text").to_string();
            assert!(head(&CONTENT_SECURITY_POLICY).starts_with("default-src 'none'; script-src 'self';"));
            assert_eq!(head(&X_CONTENT_TYPE_OPTIONS), "nosniff");
            assert_eq!(head(&REFERRER_POLICY), "no-referrer");
            assert_eq!(head(&CACHE_CONTROL), "no-store");
        }
    }

    #[test]
    fn an_error_is_a_line_of_json() {
        let response = Refusal::forbidden("no \"x\"").response();
        assert_eq!((response.status(), &response.body()[..]), (StatusCode::FORBIDDEN, &br#"{"error":"no \"x\""}"#[..]));
        let response = Refusal::new(StatusCode::UNAUTHORIZED, "").response();
        assert!(response.headers()[WWW_AUTHENTICATE].to_str().expect("text").starts_with("Basic "));
    }

    #[test]
    fn a_file_that_a_browser_has_is_not_sent_again() {
        let tag = HeaderValue::from_static("\"a\"");
        let ask =
            |known: Option<&'static str>| file("text/css", "x", &tag, known.map(HeaderValue::from_static).as_ref());
        assert_eq!((ask(None).status(), ask(None).body().len()), (StatusCode::OK, 1));
        assert_eq!((ask(Some("\"b\"")).status(), ask(Some("\"b\"")).body().len()), (StatusCode::OK, 1));
        for known in ["\"a\"", "W/\"a\"", "\"b\", \"a\""] {
            assert_eq!((ask(Some(known)).status(), ask(Some(known)).body().len()), (StatusCode::NOT_MODIFIED, 0));
        }
        assert_eq!(ask(None).headers()[CACHE_CONTROL], "no-cache");
    }
}
