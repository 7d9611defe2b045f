//! From Auth0 to the tables: every source ends in one apply function.
