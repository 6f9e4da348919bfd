//! apikey
