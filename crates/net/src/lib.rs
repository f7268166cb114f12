//! Sockets, TLS, DNS and clocks: the shell that drives the machines.
