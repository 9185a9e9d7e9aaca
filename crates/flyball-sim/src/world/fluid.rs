//! Requests as a fluid: weeks in seconds.
