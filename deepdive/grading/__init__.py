"""Grading: a submission's files are taken in, run in a jail, and judged by the same checks as a learner's own."""
