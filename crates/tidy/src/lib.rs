//! The project's rules as tests.
