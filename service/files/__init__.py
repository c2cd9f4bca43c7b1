"""Files: kept, served in parts, uploaded whole or never."""

from service.files.feature import feature

__all__ = ["feature"]
