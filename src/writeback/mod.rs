//! From a committed mutation to Auth0 and back: lanes, outcomes, settling.
