//! The admin listener: hyper around the API's router, with the bounds that keep slow and silent clients cheap.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Connections at once; more wait in the kernel.
const CONNECTIONS: usize = 1024;
/// Longest time for a header, and longest idle time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause after a failed accept.
const PAUSE: Duration = Duration::from_millis(50);

/// A bound listener.
pub(crate) struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

impl Admin {
    /// Takes the port.
    ///
    /// # Errors
    /// [`Failure::Run`], naming the key.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, Failure> {
        let failed = |error| {
            Failure::Run(format!("admin.listen = {address}: {error}; free the address or choose another"))
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, every connection by the router of the moment it comes; then what is under way is finished, for at
    /// most `budget`. A client that does not read its answer is left then: it would hold the store.
    pub(crate) async fn run(
        self,
        router: watch::Receiver<Router>,
        stop: CancellationToken,
        budget: Duration,
    ) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        loop {
            let place = tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place,
                () = stop.cancelled() => break,
            };
            let stream = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            let stream = match stream {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection to admin.listen could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let service = TowerToHyperService::new(router.borrow().clone());
            let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
            while connections.try_join_next().is_some() {}
            connections.spawn(async move {
                let _place = place;
                // A client that hangs up or sends garbage is its own affair.
                let _ = connection.await;
            });
        }
        drop(self.listener);
        let _ = tokio::time::timeout(budget, graceful.shutdown()).await;
        connections.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    #[tokio::test]
    async fn a_client_that_does_not_read_its_answer_holds_nothing_once_the_listener_has_stopped() {
        let store = Arc::new(());
        let held = Arc::clone(&store);
        let answer = move || {
            let _held = Arc::clone(&held);
            async { vec![b'x'; 32 << 20] }
        };
        let (router, routers) = watch::channel(Router::new().route("/", get(answer)));
        let admin = Admin::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let (address, stop) = (admin.local_addr(), CancellationToken::new());
        let serving = tokio::spawn(admin.run(routers, stop.clone(), Duration::from_millis(50)));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        client.read_exact(&mut [0; 8]).await.unwrap();
        stop.cancel();
        serving.await.unwrap();
        drop(router);
        assert_eq!(Arc::strong_count(&store), 1);
    }
}
