"""Sample routes: a slow front door, an echo, a login, what clients are tried with."""

from service.demo.feature import feature
from service.demo.login import Login, login_routes
from service.demo.routes import Identity, Samples, routes
from service.demo.tokens import Tokens

__all__ = [
    "Identity",
    "Login",
    "Samples",
    "Tokens",
    "feature",
    "login_routes",
    "routes",
]
