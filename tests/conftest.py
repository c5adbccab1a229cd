"""For all tests: time is no part of a property, the machine may be busy."""

from hypothesis import settings

settings.register_profile("headway", deadline=None)
settings.load_profile("headway")
