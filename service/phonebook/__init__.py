"""The phone book: names and telephone numbers, kept in a database."""

from service.phonebook.feature import feature

__all__ = ["feature"]
