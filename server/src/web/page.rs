//! The files of the page, as they are in the program.

use std::hash::{DefaultHasher, Hash, Hasher};

use hyper::header::HeaderValue;

use crate::web::response::{self, Response};

/// A file of the page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

static FILES: [File; 12] = [
    File { path: "/", content_type: HTML, text: include_str!("page/index.html") },
    File { path: "/page.css", content_type: CSS, text: include_str!("page/page.css") },
    File { path: "/page.js", content_type: SCRIPT, text: include_str!("page/page.js") },
    File { path: "/acts.js", content_type: SCRIPT, text: include_str!("page/acts.js") },
    File { path: "/chart.js", content_type: SCRIPT, text: include_str!("page/chart.js") },
    File { path: "/connections.js", content_type: SCRIPT, text: include_str!("page/connections.js") },
    File { path: "/elements.js", content_type: SCRIPT, text: include_str!("page/elements.js") },
    File { path: "/overview.js", content_type: SCRIPT, text: include_str!("page/overview.js") },
    File { path: "/parts.js", content_type: SCRIPT, text: include_str!("page/parts.js") },
    File { path: "/peek.js", content_type: SCRIPT, text: include_str!("page/peek.js") },
    File { path: "/queue.js", content_type: SCRIPT, text: include_str!("page/queue.js") },
    File { path: "/server.js", content_type: SCRIPT, text: include_str!("page/server.js") },
];

impl File {
    /// The file at a path.
    pub(crate) fn at(path: &str) -> Option<&'static File> {
        FILES.iter().find(|file| file.path == path)
    }

    /// The answer to who asks for it. `known`: the tags of what a browser has.
    pub(crate) fn response(&self, known: Option<&HeaderValue>) -> Response {
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        let tag = HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish())).expect("digits");
        response::file(self.content_type, self.text, &tag, known)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use hyper::header::{CONTENT_TYPE, ETAG};

    use super::*;

    #[test]
    fn files_say_what_they_are_and_are_sent_once() {
        let style = File::at("/page.css").expect("there is one");
        let response = style.response(None);
        assert_eq!(response.headers()[CONTENT_TYPE], CSS);
        assert_eq!(response.body(), style.text.as_bytes());
        assert_eq!(style.response(Some(&response.headers()[ETAG])).status().as_u16(), 304);
        let of_script = File::at("/page.js").expect("there is one").response(None);
        assert_ne!(response.headers()[ETAG], of_script.headers()[ETAG]);
        assert!(File::at("/index.html").is_none() && File::at("").is_none());
    }

    #[test]
    fn every_file_of_the_page_is_served_and_every_import_is_one() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/page");
        let mut there: Vec<String> = fs::read_dir(directory)
            .expect("it is there")
            .map(|entry| {
                format!("/{}", entry.expect("readable").file_name().to_string_lossy()).replace("/index.html", "/")
            })
            .collect();
        let mut served: Vec<&str> = FILES.iter().map(|file| file.path).collect();
        there.sort();
        served.sort();
        assert_eq!(served, there);
        for file in &FILES {
            for import in file.text.split(" from \"./").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(File::at(&format!("/{import}")).is_some(), "{} imports {import}", file.path);
            }
        }
    }

    /// The policy in the head of each answer would keep such a script from running.
    #[test]
    fn the_page_asks_no_other_site_and_has_nothing_in_line() {
        for file in &FILES {
            let text = file.text.replace("http://www.w3.org/", "");
            for bad in ["http://", "https://", "@import", "<script>", " style=\"", " onclick=", "javascript:", "eval("]
            {
                assert!(!text.contains(bad), "{bad} in {}", file.path);
            }
        }
    }
}
