//! Bodies: media types, charsets, multiparts and CPIM (RFC 2045, RFC 2046, RFC 3862).
