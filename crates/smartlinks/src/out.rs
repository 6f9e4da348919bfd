//! What is said to people and programs: as `println!` and `eprintln!`, except that who no longer reads (`| head`) is no reason to
//! panic.

use std::{
    fmt,
    io::{self, Write},
};

/// A line on stdout.
macro_rules! say {
    ($($arg:tt)*) => { $crate::out::print(format_args!("{}\n", format_args!($($arg)*))) };
}

/// A line on stderr.
macro_rules! tell {
    ($($arg:tt)*) => { $crate::out::hint(format_args!("{}\n", format_args!($($arg)*))) };
}

pub(crate) use {say, tell};

/// On stdout. An answer that is not whole is a failure, unless nobody wants it.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            hint(format_args!("the answer could not be written: {error}\n"));
            std::process::exit(1);
        }
        _ => {}
    }
}

/// On stderr, as far as somebody is there.
pub(crate) fn hint(text: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}
