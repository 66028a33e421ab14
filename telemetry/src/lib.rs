//! Logging of all processes: a child writes to its standard error, which the supervisor captures into that
//! process's rotated file; the supervisor writes to its own file.
