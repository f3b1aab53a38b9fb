//! The pages on the three ports: hand-written ES modules and vendored libraries, embedded, and how they are served.
//!
//! It reads nothing of the cluster itself: pages ask the same endpoints as everybody else.
