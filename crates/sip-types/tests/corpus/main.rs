//! The SIP corpora: RFC 4475, RFC 5118 and hostile inputs, each whole, octet by octet, and split everywhere.
//!
//! What parser and framer decide is held against the corpora's INDEX files; what is decided further in
//! (policy, addresses, documents) is not looked at here.

#[cfg(test)]
mod hearing;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod input;
#[cfg(test)]
mod meaning;
#[cfg(test)]
mod torture;
