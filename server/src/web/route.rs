//! What a request's method and path ask for.

use hyper::{Method, StatusCode};

use crate::web::page::File;
use crate::web::response::Refusal;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// A file of the page.
    File(&'static File),
    /// Whether the shards answer.
    Healthz,
    /// Whether messages are taken.
    Readyz,
    Scrape(Scrape),
    Show(Show),
    Act(Act),
}

/// What Prometheus scrapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scrape {
    /// The server, its shards and the process.
    Server,
    /// Single queues.
    Queues,
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    Overview,
    History,
    Queues,
    Queue,
    Messages,
    Opens,
    Connections,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Put,
    Purge,
    Delete,
    Move,
    Kick,
    Release,
    Pause,
    Resume,
    Config,
    Unconfig,
    CloseConnection,
    Drain,
    Checkpoint,
}

/// Who may have something, where users are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody.
    Open,
    /// Any user.
    User,
    /// A user with the role of an operator.
    Admin,
}

const SHOWN: [(&str, Route); 11] = [
    ("/healthz", Route::Healthz),
    ("/readyz", Route::Readyz),
    ("/metrics", Route::Scrape(Scrape::Server)),
    ("/metrics/queues", Route::Scrape(Scrape::Queues)),
    ("/api/overview", Route::Show(Show::Overview)),
    ("/api/history", Route::Show(Show::History)),
    ("/api/queues", Route::Show(Show::Queues)),
    ("/api/queue", Route::Show(Show::Queue)),
    ("/api/queue/messages", Route::Show(Show::Messages)),
    ("/api/queue/opens", Route::Show(Show::Opens)),
    ("/api/connections", Route::Show(Show::Connections)),
];

const ACTS: [(&str, Act); 13] = [
    ("/api/queue/put", Act::Put),
    ("/api/queue/purge", Act::Purge),
    ("/api/queue/delete", Act::Delete),
    ("/api/queue/move", Act::Move),
    ("/api/queue/kick", Act::Kick),
    ("/api/queue/release", Act::Release),
    ("/api/queue/pause", Act::Pause),
    ("/api/queue/resume", Act::Resume),
    ("/api/queue/config", Act::Config),
    ("/api/queue/unconfig", Act::Unconfig),
    ("/api/connection/close", Act::CloseConnection),
    ("/api/drain", Act::Drain),
    ("/api/checkpoint", Act::Checkpoint),
];

/// What is asked for.
///
/// # Errors
/// When there is nothing at the path, or not by this method.
pub(crate) fn route(method: &Method, path: &str) -> Result<Route, Refusal> {
    let shown = SHOWN.iter().find(|(at, _)| *at == path).map(|(_, route)| *route);
    let shown = shown.or_else(|| File::at(path).map(Route::File));
    let act = ACTS.iter().find(|(at, _)| *at == path).map(|(_, act)| Route::Act(*act));
    match (method, shown, act) {
        (&Method::GET | &Method::HEAD, Some(shown), _) => Ok(shown),
        (&Method::POST, _, Some(act)) => Ok(act),
        (_, None, None) => Err(Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this path")),
        (_, Some(_), _) => Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this is read by GET")),
        (_, _, Some(_)) => Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this is done by POST")),
    }
}

impl Route {
    /// Who may have it.
    pub(crate) fn access(self) -> Access {
        match self {
            Route::Healthz | Route::Readyz => Access::Open,
            Route::Scrape(_) => Access::User,
            Route::File(_) | Route::Show(_) | Route::Act(_) => Access::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_and_what_is_done_is_posted() {
        assert!(matches!(route(&Method::GET, "/"), Ok(Route::File(_))));
        assert_eq!(route(&Method::HEAD, "/api/queues"), Ok(Route::Show(Show::Queues)));
        assert_eq!(route(&Method::POST, "/api/queue/purge"), Ok(Route::Act(Act::Purge)));
        for (method, path, status) in [
            (Method::GET, "/api/queue/purge", 405),
            (Method::POST, "/api/queues", 405),
            (Method::DELETE, "/", 405),
            (Method::GET, "/nothing", 404),
            (Method::GET, "/api/queue/", 404),
            (Method::OPTIONS, "/api/queue/purge", 405),
        ] {
            let refusal = route(&method, path).expect_err(path);
            assert_eq!(refusal.status.as_u16(), status, "{method} {path}");
        }
    }

    #[test]
    fn the_readme_has_every_route() {
        let (_, below) = include_str!("../../README.md").split_once("\n## The page\n").expect("a heading");
        let section = below.split("\n## ").next().expect("words");
        for (path, _) in SHOWN {
            assert!(section.contains(&format!("| `GET {path}` |")), "{path}");
        }
        for (path, _) in ACTS {
            let row = section.lines().find(|line| line.starts_with(&format!("| `POST {path}` |"))).expect(path);
            assert!(row.contains("-d '{") && row.ends_with(&format!("$page{path}` |")), "{row}");
        }
    }

    #[test]
    fn who_checks_health_has_no_password() {
        let open: Vec<&str> =
            SHOWN.iter().filter(|(_, route)| route.access() == Access::Open).map(|(path, _)| *path).collect();
        assert_eq!(open, ["/healthz", "/readyz"]);
        assert!(ACTS.iter().all(|(_, act)| Route::Act(*act).access() == Access::Admin));
    }
}
