"""The catalogue's typed routes: what OpenAPI tells of them, and headers."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Response

from service.catalogue.catalogue import Catalogue, place
from service.catalogue.conditions import is_known
from service.catalogue.models import (
    Article,
    Articles,
    NewArticle,
    Product,
    ProductDetails,
    Products,
)
from service.server.idempotency import REPLAYED
from service.server.typed_documents import IfMatch, IfNoneMatch, OnceKey, problems
from service.server.typed_routes import Context

__all__ = ["router"]

Key = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", examples=["mug"])]
Category = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,31}$", examples=["news"])]
Number = Annotated[str, Path(pattern=r"^[0-9]+$", max_length=18, examples=["1"])]
Limit = Annotated[int, Query(ge=1, le=100, description="Most that are told.")]
After = Annotated[str, Query(max_length=64, description="Go on after this key.")]
AfterNumber = Annotated[int, Query(ge=0, description="Go on after this number.")]

_problems = problems(
    {
        400: "A header can't be read.",
        404: "Nothing is there; each process of the service keeps its own.",
        409: "There is no room for more, or the first request with this key is under "
        "way.",
        412: "The version is another.",
        415: "The body is no JSON.",
        422: "The values are wrong, or the idempotency key belongs to another request.",
        429: "Too many idempotency keys are kept.",
    }
)


def router(catalogue: Catalogue) -> APIRouter:
    """Return the routes of *catalogue*."""
    found = APIRouter()
    _add_products(found, catalogue)
    _add_articles(found, catalogue)
    return found


def _add_products(found: APIRouter, catalogue: Catalogue) -> None:
    products = catalogue.products

    @found.get(
        "/products",
        summary="List products by key",
        response_model_exclude_none=True,
        responses=_problems(422),
    )
    async def list_products(
        ctx: Context, limit: Limit = 20, after: After = ""
    ) -> Products:
        items, last = products.page(after=after, limit=limit)
        shown = [catalogue.shown(ctx, each) for each in items]
        following = last and "/products?" + urlencode({"limit": limit, "after": last})
        return Products(items=shown, next=following)

    @found.post(
        "/products",
        status_code=201,
        summary="Add a product, once for an idempotency key",
        response_model_exclude_none=True,
        responses=_problems(400, 409, 415, 422, 429),
    )
    async def add_product(
        ctx: Context, answer: Response, details: ProductDetails, _key: OnceKey = None
    ) -> Product:
        outcome = await catalogue.add(ctx, details)
        product = outcome.value.value
        answer.headers["location"] = f"/products/{product.key}"
        answer.headers["etag"] = outcome.value.etag
        if outcome.replayed:
            answer.headers[REPLAYED] = "true"
        return catalogue.shown(ctx, product)

    @found.get(
        "/products/{key}",
        summary="Tell a product",
        response_model_exclude_none=True,
        response_model=Product,
        responses={304: {"description": "The client has it."}, **_problems(404)},
    )
    async def get_product(
        ctx: Context, answer: Response, key: Key, _none: IfNoneMatch = None
    ) -> Product | Response:
        kept = products.get(key)
        if is_known(ctx, kept.etag):
            return Response(status_code=304, headers={"etag": kept.etag})
        answer.headers["etag"] = kept.etag
        return catalogue.shown(ctx, kept.value)

    @found.put(
        "/products/{key}",
        summary="Keep a product at a key",
        response_model_exclude_none=True,
        responses={
            201: {"description": "It is new.", "model": Product},
            **_problems(404, 409, 412, 415, 422),
        },
    )
    async def put_product(
        ctx: Context,
        answer: Response,
        key: Key,
        details: ProductDetails,
        _match: IfMatch = None,
        _none: IfNoneMatch = None,
    ) -> Product:
        kept, new = catalogue.put(ctx, key, details)
        answer.status_code = 201 if new else 200
        answer.headers["etag"] = kept.etag
        return catalogue.shown(ctx, kept.value)

    @found.delete(
        "/products/{key}",
        status_code=204,
        summary="Take a product away",
        responses=_problems(404, 412),
    )
    async def delete_product(
        ctx: Context, key: Key, _match: IfMatch = None
    ) -> Response:
        catalogue.remove(ctx, key)
        # FastAPI's own would announce JSON and hold none
        return Response(status_code=204)


def _add_articles(found: APIRouter, catalogue: Catalogue) -> None:
    articles = catalogue.articles

    @found.get(
        "/articles/{category}",
        summary="List the articles of a category",
        response_model_exclude_none=True,
        responses=_problems(404, 422),
    )
    async def list_articles(
        category: Category, limit: Limit = 20, after: AfterNumber = 0
    ) -> Articles:
        start = place(category, after)
        items, last = articles.page(after=start, limit=limit, prefix=f"{category}/")
        query = urlencode({"limit": limit, "after": items[-1].id if items else 0})
        following = last and f"/articles/{category}?{query}"
        return Articles(items=items, next=following)

    @found.post(
        "/articles/{category}",
        status_code=201,
        summary="Write an article",
        responses=_problems(404, 409, 415, 422),
    )
    async def write_article(
        answer: Response, category: Category, new: NewArticle
    ) -> Article:
        article = catalogue.write(category, new)
        answer.headers["location"] = f"/articles/{category}/{article.id}"
        return article

    @found.get(
        "/articles/{category}/{id}",
        summary="Tell an article",
        responses=_problems(404),
    )
    async def get_article(
        category: Category,
        id: Number,  # noqa: A002 - the template's name
    ) -> Article:
        return articles.get(place(category, int(id))).value
