//! The binary as its users meet it: real processes, sockets and files.

mod commands;
mod crash;
mod creator;
mod spine;
mod process;
