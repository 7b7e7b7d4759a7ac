"""A venue of another package, in one folder: the binary protocol behind a gate, which wants a password and the name of a port first."""
