"""What products and articles are made of, as clients send and get them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Article",
    "Articles",
    "NewArticle",
    "Product",
    "ProductDetails",
    "Products",
]

Cents = Annotated[int, Field(ge=0, le=10**12)]
Currency = Literal["CHF", "EUR", "GBP", "USD"]

_MUG: dict[str, Any] = {"name": "Mug", "price_cents": 1250, "currency": "EUR"}
_NEWS: dict[str, Any] = {"title": "Mugs are back", "text": "In four colours."}


def _like(*examples: dict[str, Any]) -> ConfigDict:
    """Return what all have in common: no other member, and an example to show."""
    return ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [*examples]}
    )


class ProductDetails(BaseModel):
    """What a client says of a product."""

    model_config = _like(_MUG)

    name: str = Field(min_length=1, max_length=200, description="What it is called.")
    price_cents: Cents = Field(description="Price in hundredths of the currency.")
    currency: Currency = Field("EUR", description="Currency, by ISO 4217.")
    description: str = Field("", max_length=2000, description="More about it.")


class Product(ProductDetails):
    """A product."""

    model_config = _like({"key": "mug", **_MUG, "description": ""})

    key: str = Field(description="Its place below `/products`.")
    price_text: str | None = Field(
        None, description="Price for people, where the flag `price_text` is on."
    )


class Products(BaseModel):
    """Some of the products, by key."""

    items: list[Product]
    next: str | None = Field(None, description="Where the next ones are.")


class NewArticle(BaseModel):
    """What a client says of an article."""

    model_config = _like(_NEWS)

    title: str = Field(min_length=1, max_length=200, description="Its title.")
    text: str = Field(max_length=10_000, description="What it says.")


class Article(NewArticle):
    """An article."""

    model_config = _like({"category": "news", "id": 1, **_NEWS})

    category: str = Field(description="Where it belongs.")
    id: int = Field(description="Its number, which no other article of all has.")


class Articles(BaseModel):
    """Some of the articles of a category, oldest first."""

    items: list[Article]
    next: str | None = Field(None, description="Where the next ones are.")
