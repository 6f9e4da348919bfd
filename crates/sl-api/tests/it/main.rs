//! The API through real sockets, on the embedded store and a real journal.

mod dashboard;
mod extensions;
mod intake;
mod keys;
mod links;
mod pixels;
mod postbacks;
mod reports;
mod routes;
mod world;
