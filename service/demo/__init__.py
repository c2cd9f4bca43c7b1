"""Sample routes: a slow front door, an echo, a login, what clients are tried with."""

from service.demo.routes import Identity, Samples, routes

__all__ = ["Identity", "Samples", "routes"]
