"""The conformance suite: gangway between servers and clients that other people wrote."""
