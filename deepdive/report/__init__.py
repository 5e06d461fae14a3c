"""What people see: the six-line block of a failure, and the board at the end of a run."""
