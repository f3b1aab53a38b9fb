//! The door for frameworks: the scheduler port and the state port, each in-process and over HTTP with the same
//! messages and the same validation; and the executor's twin.
