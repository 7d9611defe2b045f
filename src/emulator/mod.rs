//! An Auth0 Management API for development and tests; shares the catalogue with the service and no other code.
