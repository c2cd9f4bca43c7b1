"""Feature flags, asked by OpenFeature's API, from the settings or from a flagd."""

from service.flags.flags import Flags

__all__ = ["Flags"]
