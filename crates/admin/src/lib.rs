//! What an operator asks a running process, and its answers.
