//! The Management API as a client sees it: token, calls, outcomes, paging.
