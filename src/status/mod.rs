//! What the service can say about itself: the status page, health and metrics.
