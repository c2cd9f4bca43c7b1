"""The catalogue, put together from settings and flags."""

from service.feature import Core, Feature
from service.server.context import RequestContext

__all__ = ["feature"]


def feature(core: Core) -> Feature:
    """Return the catalogue's routes, where they are switched on."""
    if not core.store.current.catalogue.enabled:
        return Feature()
    # models and routes take their time to build
    from service.catalogue.api import router
    from service.catalogue.catalogue import Catalogue

    def user(ctx: RequestContext) -> str:
        return next((name for ask in core.authenticate if (name := ask(ctx))), "")

    catalogue = Catalogue(
        lambda: core.store.current.catalogue,
        user=user,
        prices_as_text=lambda ctx: core.flags.boolean("price_text", ctx, default=False),
    )
    return Feature(routers=[router(catalogue)])
