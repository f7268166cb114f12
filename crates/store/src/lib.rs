//! What must outlive a process: SQLite.
