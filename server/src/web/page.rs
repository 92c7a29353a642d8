//! The files of the page, as they are in the program.

use std::hash::{DefaultHasher, Hash, Hasher};

use hyper::header::HeaderValue;

use crate::web::response::{self, Response};

/// A file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    Page,
    Style,
    Script,
}

impl File {
    /// Its content type, and the file.
    fn content(self) -> (&'static str, &'static str) {
        match self {
            File::Page => ("text/html; charset=utf-8", include_str!("page/index.html")),
            File::Style => ("text/css; charset=utf-8", include_str!("page/page.css")),
            File::Script => ("text/javascript; charset=utf-8", include_str!("page/page.js")),
        }
    }

    /// The answer to who asks for it. `known`: the tags of what a browser has.
    pub(crate) fn response(self, known: Option<&HeaderValue>) -> Response {
        let (content_type, text) = self.content();
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let tag = HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish())).expect("digits");
        response::file(content_type, text, &tag, known)
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{CONTENT_TYPE, ETAG};

    use super::*;

    #[test]
    fn files_differ_and_say_what_they_are() {
        let files = [File::Page, File::Style, File::Script].map(|file| file.response(None));
        let head = |name| files.each_ref().map(|file| file.headers()[&name].to_str().expect("text").to_string());
        assert_eq!(
            head(CONTENT_TYPE),
            ["text/html; charset=utf-8", "text/css; charset=utf-8", "text/javascript; charset=utf-8"]
        );
        let tags = head(ETAG);
        assert!(tags[0] != tags[1] && tags[1] != tags[2] && files.iter().all(|file| !file.body().is_empty()));
        let again = File::Style.response(Some(&files[1].headers()[ETAG]));
        assert_eq!(again.status().as_u16(), 304);
    }

    /// Without these the page would ask another site, or its policy would keep its own script from running.
    #[test]
    fn the_page_asks_no_other_site_and_has_nothing_in_line() {
        for file in [File::Page, File::Style, File::Script] {
            let (_, text) = file.content();
            for foreign in
                ["http://", "https://", "@import", "<script>", "style=\"", "onclick=", "javascript:", "eval("]
            {
                let allowed =
                    foreign == "http://" && text.matches(foreign).count() == text.matches("http://www.w3.org/").count();
                assert!(allowed || !text.contains(foreign), "{foreign} in {:?}", file);
            }
        }
    }
}
