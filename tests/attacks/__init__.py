"""Submissions that want marks they do not deserve, and honest ones that only look odd."""
