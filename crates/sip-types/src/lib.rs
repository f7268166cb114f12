//! SIP as values: URIs, messages, headers, framing, documents.
