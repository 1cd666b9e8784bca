"""A 3ds Max to test against: pymxs and qtmax with a scene in memory, strict about their use.

``install()`` puts the modules in, ``stage`` has a whole host as a test plays it. What exists at
all stands in ``allowed.py``, each name with its source: a caller of anything else fails its test.
"""
