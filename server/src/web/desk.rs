//! The operator's desk: where a request is answered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use glommio::spawn_local;
use hyper::header::IF_NONE_MATCH;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use protocol::KeyRules;

use crate::admin::asking::Asking;
use crate::admin::disk::Disk;
use crate::admin::history::{self, History};
use crate::admin::search::OneAtATime;
use crate::context::ShardContext;
use crate::process::operator::Operator;
use crate::session::peer::Peer;
use crate::web::acts::{self, Rules};
use crate::web::doing;
use crate::web::guard::{self, Who};
use crate::web::response::{self, Refusal, Response};
use crate::web::route::{self, Route, Scrape};
use crate::web::scrapes;
use crate::web::shows;

/// What all answers are made with.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(super) context: Rc<ShardContext>,
    pub(super) operator: Operator,
    pub(super) history: Rc<RefCell<History>>,
    pub(super) searches: OneAtATime,
    pub(super) disk: Rc<Disk>,
    /// Whether the server stops.
    stops: Cell<bool>,
}

/// A request that may be answered.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(super) route: Route,
    pub(super) who: Who,
}

impl Admitted {
    /// Whether something is done, and not only shown.
    pub(crate) fn is_act(&self) -> bool {
        matches!(self.route, Route::Act(_))
    }
}

impl Desk {
    /// Opens the desk, and begins to write down what the charts show. `None`: no page was asked for.
    pub(crate) fn open(context: &Rc<ShardContext>) -> Option<Rc<Desk>> {
        let operator = context.settings.operator.clone()?;
        let history = Rc::default();
        spawn_local(history::record(Rc::clone(context), Rc::clone(&history))).detach();
        Some(Rc::new(Desk {
            context: Rc::clone(context),
            operator,
            history,
            searches: OneAtATime::new(),
            disk: Disk::of(context.settings.directory.clone()),
            stops: Cell::new(false),
        }))
    }

    /// Has what takes long end early: the server stops.
    pub(crate) fn begin_stop(&self) {
        self.stops.set(true);
    }

    /// Looks at the head of a request: whether it may be answered, before its body is read.
    ///
    /// # Errors
    /// When it may not.
    pub(crate) async fn admit(&self, parts: &Parts, peer: Peer) -> Result<Admitted, Refusal> {
        let route = route::route(&parts.method, parts.uri.path());
        let access = route.as_ref().map_or(route::Access::Admin, |route| route.access());
        guard::check(&self.operator, parts, route.as_ref().ok())?;
        let who = guard::identify(self.context.users.as_deref(), access, &parts.headers, peer).await?;
        Ok(Admitted { route: route?, who })
    }

    /// The most bytes that the body of a request has: one of the largest message, as base64, and what is around it.
    pub(crate) fn body_bytes_max(&self, method: &Method) -> usize {
        match *method {
            Method::POST => self.context.settings.storage.body_bytes_max / 5 * 7 + (4 << 10),
            // None of these has one that is looked at.
            _ => 4 << 10,
        }
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, admitted: Admitted, parts: Parts, body: Bytes) -> Response {
        let Admitted { route, who } = admitted;
        let answered = match route {
            Route::File(file) => Ok(file.response(parts.headers.get(IF_NONE_MATCH))),
            Route::Healthz => Ok(shows::healthz(self).await),
            Route::Readyz => Ok(shows::readyz(self).await),
            Route::Scrape(Scrape::Server) => Ok(scrapes::server(self).await),
            Route::Scrape(Scrape::Queues) => scrapes::queues(self, parts.uri.query()).await,
            Route::Show(show) => shows::show(self, show, parts.uri.query(), &who).await,
            Route::Act(act) => match acts::read(act, &body, &self.rules()) {
                Ok(asked) => doing::act(self, asked, &who).await.map(|done| response::json(&done)),
                Err(refusal) => Err(refusal),
            },
        };
        answered.unwrap_or_else(|refusal| refusal.response())
    }

    /// What names of queues and messages are read by.
    pub(super) fn rules(&self) -> Rules {
        let settings = &self.context.settings;
        Rules {
            keys: KeyRules { options: settings.options, fanout: settings.fanout },
            shards: settings.shards,
            body_bytes_max: settings.storage.body_bytes_max,
        }
    }

    /// Asks the shards for one answer.
    pub(super) fn asking(&self) -> Asking<'_> {
        let handle = &self.context.handle;
        Asking { handle, gather: handle.gather(), stops: &self.stops }
    }

    /// Whether the server stops.
    pub(super) fn is_stopping(&self) -> bool {
        self.stops.get()
    }
}

/// An answer of one line, for programs that look at the status.
pub(super) fn line(status: StatusCode, text: &str) -> Response {
    response::with(status, "text/plain; charset=utf-8", format!("{text}\n"))
}
