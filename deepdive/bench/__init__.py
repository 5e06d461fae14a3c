"""The learner's bench: where one stands, trying again on every save, hints, starting over, notebooks."""
