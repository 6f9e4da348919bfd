//! A list as a file that is sent while it is read.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderValue, header};

use super::line::{Cell, lines};
use crate::{
    error::{ApiError, Result},
    reply::add_headers,
};

/// The answer: a line of `columns`, then the rows page by page. The next page is read when the client has taken the one before, and none
/// any more when it is gone. A fault on the way breaks the answer off, so that a part is never taken for the whole.
///
/// # Errors
/// Those of the first page.
pub(super) async fn file(
    name: &str,
    columns: &[impl AsRef<str>],
    pages: impl Stream<Item = Result<Vec<Vec<Cell>>>> + Send + 'static,
) -> Result<Response> {
    let mut pages = Box::pin(pages);
    let mut first = vec![columns.iter().map(|column| Cell::Own(column.as_ref().to_owned())).collect()];
    first.extend(pages.try_next().await?.unwrap_or_default());
    let first = lines(&first);
    let rest = pages.map(|page| lines(&page?));
    let body = stream::once(async { first }).chain(rest).map_err(|error: ApiError| {
        tracing::warn!(reason = error.sentence(), "a CSV file was broken off");
        std::io::Error::other("broken off")
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    add_headers(headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}.csv\""));
    headers.insert(header::CONTENT_DISPOSITION, disposition.map_err(|_| ApiError::Fault)?);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// Three pages with a row each, which count themselves; number `broken` can't be read.
    fn pages(broken: usize) -> (Arc<AtomicUsize>, impl Stream<Item = Result<Vec<Vec<Cell>>>> + Send) {
        let read = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&read);
        let page = move |()| match count.fetch_add(1, Ordering::Relaxed) {
            number if number == broken => Err(ApiError::Fault),
            number => Ok(vec![vec![Cell::Own(number.to_string())]]),
        };
        (read, stream::repeat(()).take(3).map(page))
    }

    #[tokio::test]
    async fn pages_are_read_as_they_are_taken_and_no_further_when_the_client_is_gone() {
        let (read, pages) = pages(usize::MAX);
        let mut body = file("n", &["n"], pages).await.unwrap().into_body().into_data_stream();
        for (text, pages) in [("n\r\n0\r\n", 1), ("1\r\n", 2), ("2\r\n", 3)] {
            assert_eq!(body.try_next().await.unwrap().unwrap(), text);
            assert_eq!(read.load(Ordering::Relaxed), pages);
        }
        drop(body);
        assert_eq!(Arc::strong_count(&read), 1, "nobody reads on");
    }

    #[tokio::test]
    async fn what_can_not_be_read_is_an_error_at_first_and_breaks_the_file_off_later() {
        assert!(matches!(file("n", &["n"], pages(0).1).await, Err(ApiError::Fault)));
        let answer = file("n", &["n"], pages(1).1).await.unwrap();
        assert!(axum::body::to_bytes(answer.into_body(), 1000).await.is_err());
    }
}
