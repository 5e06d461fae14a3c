"""The learner's side of a graded run: what may pass between the two processes, and both ends of it."""
