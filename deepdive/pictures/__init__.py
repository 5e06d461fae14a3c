"""Pictures where looking beats reading: one small module for each kind.

A picture is a `Picture`: an SVG that says in words what it shows, and, where that makes sense, the same for a
terminal. Its texts have the colour of the text around it; its own colours are told apart by people who see few of
them, and never say alone what they say. `deepdive.pictures.gallery` draws with the learner's own functions.
"""
