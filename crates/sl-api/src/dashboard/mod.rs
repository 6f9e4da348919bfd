//! The dashboard: the same data as the API, for people. Plain pages, one style sheet, no script; it works without
//! anything from elsewhere.

pub(crate) mod csv;
pub(crate) mod dead_letters;
pub(crate) mod deliveries;
mod figures;
pub(crate) mod link;
pub(crate) mod overview;
pub(crate) mod pool;
pub(crate) mod session;

use axum::response::{Html, IntoResponse, Redirect, Response};
use http::{HeaderValue, StatusCode, header};
use minijinja::{AutoEscape, Environment, context};
use serde_json::{Value, json};

use crate::{
    error::{ApiError, Result},
    parts::App,
};

use session::Session;

const TEMPLATES: [(&str, &str); 10] = [
    ("base.html", include_str!("../../templates/base.html")),
    ("login.html", include_str!("../../templates/login.html")),
    ("error.html", include_str!("../../templates/error.html")),
    ("overview.html", include_str!("../../templates/overview.html")),
    ("link.html", include_str!("../../templates/link.html")),
    ("deliveries.html", include_str!("../../templates/deliveries.html")),
    ("delivery.html", include_str!("../../templates/delivery.html")),
    ("replays.html", include_str!("../../templates/replays.html")),
    ("pool.html", include_str!("../../templates/pool.html")),
    ("dead_letters.html", include_str!("../../templates/dead_letters.html")),
];

/// The compiled templates.
pub(crate) struct Pages(Environment<'static>);

impl Pages {
    /// A template that does not compile is left out and its page answers 500; a test compiles them all.
    pub(crate) fn compile() -> Self {
        let mut pages = Environment::new();
        pages.set_auto_escape_callback(|_| AutoEscape::Html);
        pages.add_filter("when", |at: minijinja::Value| figures::when(&at));
        for (name, source) in TEMPLATES {
            if let Err(error) = pages.add_template(name, source) {
                tracing::error!(name, %error, "a page of the dashboard does not compile");
            }
        }
        Self(pages)
    }

    fn render(
        &self,
        name: &str,
        session: Option<&Session>,
        page: &Value,
    ) -> std::result::Result<String, minijinja::Error> {
        let session = session.map(|session| json!({ "name": session.caller.0.name, "csrf": session.csrf }));
        self.0.get_template(name)?.render(
            context! { page => minijinja::value::Serde(page), session => minijinja::value::Serde(session) },
        )
    }
}

/// A page of somebody signed in, or why there is none.
pub(crate) fn page(app: &App, name: &str, session: &Session, content: Result<Value>) -> Response {
    match content {
        Ok(content) => render(app, StatusCode::OK, name, Some(session), &content),
        Err(error) => failed(app, Some(session), &error),
    }
}

fn render(app: &App, status: StatusCode, name: &str, session: Option<&Session>, page: &Value) -> Response {
    let mut response = match app.pages.render(name, session, page) {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(name, %error, "a page of the dashboard could not be drawn");
            ApiError::Fault.into_response()
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What went wrong, as a page. Who is not signed in is asked to.
pub(crate) fn failed(app: &App, session: Option<&Session>, error: &ApiError) -> Response {
    if matches!(error, ApiError::Unauthorized) {
        return Redirect::to("/login").into_response();
    }
    let content = json!({ "title": "Not done", "sentence": error.sentence() });
    render(app, error.status(), "error.html", session, &content)
}

pub(crate) async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=300")];
    (headers, include_str!("../../templates/style.css")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_compiles_and_no_name_breaks_out_of_it() {
        let pages = Pages::compile();
        for (name, _) in TEMPLATES {
            pages.0.get_template(name).unwrap();
        }
        let page = json!({ "title": "x", "sentence": "<script>alert(1)</script>" });
        let html = pages.render("error.html", None, &page).unwrap();
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script>"));
    }
}
