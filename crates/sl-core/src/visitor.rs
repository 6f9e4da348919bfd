//! visitor
