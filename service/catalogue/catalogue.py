"""
Products and articles: what may be done to them, without a framework.

Everything is kept in this process and gone with it; with several workers or replicas
each has its own. It is a sample of an API, not a shop.
"""

import hashlib
import itertools
import secrets
from collections.abc import Callable

from service.catalogue.conditions import check_version
from service.catalogue.models import (
    Article,
    NewArticle,
    Product,
    ProductDetails,
)
from service.catalogue.shelf import Kept, Shelf
from service.server.context import RequestContext
from service.server.idempotency import Idempotency, Outcome
from service.settings import CatalogueSettings

__all__ = ["Catalogue"]


class Catalogue:
    """
    The catalogue.

    Args:
        settings: Gives the bounds as they are now.
        user: Returns the user of a request, or an empty name.
        prices_as_text: Whether a request gets prices for people too.

    Concurrency:
        Tasks of one event loop.
    """

    def __init__(
        self,
        settings: Callable[[], CatalogueSettings],
        *,
        user: Callable[[RequestContext], str],
        prices_as_text: Callable[[RequestContext], bool],
    ) -> None:
        self._user = user
        self._prices_as_text = prices_as_text
        epoch = secrets.token_hex(4)
        self.products: Shelf[Product] = Shelf(
            lambda: settings().max_entries, epoch=epoch
        )
        self.articles: Shelf[Article] = Shelf(
            lambda: settings().max_entries, epoch=epoch
        )
        self._numbers = itertools.count(1)
        self._once: Idempotency[Kept[Product]] = Idempotency(
            ttl=lambda: settings().idempotency_ttl,
            max_keys=lambda: settings().idempotency_keys,
        )

    async def add(
        self, ctx: RequestContext, details: ProductDetails
    ) -> Outcome[Kept[Product]]:
        """Keep a new product under a key of our choice, once for an idempotency key."""

        async def work() -> Kept[Product]:
            return self.products.put(*_keyed(secrets.token_hex(8), details))

        fingerprint = hashlib.sha256(details.model_dump_json().encode()).digest()
        return await self._once.once(
            ctx, work, fingerprint=fingerprint, user=self._user(ctx)
        )

    def put(
        self, ctx: RequestContext, key: str, details: ProductDetails
    ) -> tuple[Kept[Product], bool]:
        """Keep a product at *key*; tell whether it is new."""
        before = self.products.find(key)
        check_version(ctx, None if before is None else before.etag)
        return self.products.put(*_keyed(key, details)), before is None

    def remove(self, ctx: RequestContext, key: str) -> None:
        """Take the product at *key* away."""
        check_version(ctx, self.products.get(key).etag)
        self.products.remove(key)

    def write(self, category: str, new: NewArticle) -> Article:
        """Keep a new article under a number of our choice."""
        number = next(self._numbers)
        article = Article(category=category, id=number, **new.model_dump())
        self.articles.put(place(category, number), article)
        return article

    def shown(self, ctx: RequestContext, product: Product) -> Product:
        """Return *product* as this request gets it."""
        if not self._prices_as_text(ctx):
            return product
        units, cents = divmod(product.price_cents, 100)
        text = f"{units}.{cents:02} {product.currency}"
        return product.model_copy(update={"price_text": text})


def place(category: str, number: int) -> str:
    """Return the key of an article; those of a category sort by number."""
    return f"{category}/{number:020}"


def _keyed(key: str, details: ProductDetails) -> tuple[str, Product]:
    return key, Product(key=key, **details.model_dump())
