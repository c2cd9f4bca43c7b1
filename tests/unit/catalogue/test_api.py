"""The catalogue as a client sees it: versions, pages, problems, one POST for a key."""

import pytest

from service.app import create_app, create_service
from service.config import SettingsStore
from service.settings import CatalogueSettings, FlagSettings, Settings
from tests.support.asgi import client

MUG = {"name": "Mug", "price_cents": 1250}
ONCE = {"idempotency-key": '"one"'}


def http(*, flags: FlagSettings | None = None, **bounds):
    settings = Settings(
        catalogue=CatalogueSettings(**bounds), flags=flags or FlagSettings()
    )
    return client(create_app(settings))


async def test_product_lives_from_put_to_delete():
    """New, told, changed, told again, gone."""
    shop = http()
    made = await shop.put("/products/mug", json=MUG)
    told = await shop.get("/products/mug")
    changed = await shop.put("/products/mug", json={**MUG, "name": "Cup"})
    gone = await shop.delete("/products/mug")

    assert [each.status_code for each in (made, told, changed, gone)] == [
        201,
        200,
        200,
        204,
    ]
    assert told.json() == {
        "key": "mug",
        "name": "Mug",
        "price_cents": 1250,
        "currency": "EUR",
        "description": "",
    }
    assert made.headers["etag"] == told.headers["etag"] != changed.headers["etag"]
    assert (gone.content, "content-type" in gone.headers) == (b"", False)
    assert (await shop.get("/products/mug")).status_code == 404


async def test_client_that_has_the_version_gets_304():
    """And no body."""
    shop = http()
    etag = (await shop.put("/products/mug", json=MUG)).headers["etag"]
    known = await shop.get("/products/mug", headers={"if-none-match": f'"x", W/{etag}'})

    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["etag"] == etag


@pytest.mark.parametrize(
    ("method", "header", "value", "status"),
    [
        ("PUT", "if-match", "{}", 200),
        ("PUT", "if-match", '"other"', 412),
        ("PUT", "if-match", "W/{}", 412),
        ("PUT", "if-none-match", "*", 412),
        ("PUT", "if-none-match", "{}", 412),
        ("PUT", "if-none-match", '"other"', 200),
        ("DELETE", "if-match", '"other"', 412),
        ("DELETE", "if-match", "*", 204),
    ],
)
async def test_change_of_another_version_is_refused(method, header, value, status):
    """Two who read the same do not overwrite each other."""
    shop = http()
    etag = (await shop.put("/products/mug", json=MUG)).headers["etag"]
    body = {"json": MUG} if method == "PUT" else {}
    answer = await shop.request(
        method, "/products/mug", headers={header: value.format(etag)}, **body
    )

    assert answer.status_code == status


async def test_if_match_needs_something_there():
    """`*` is any version, not none."""
    answer = await http().put("/products/mug", json=MUG, headers={"if-match": "*"})

    assert answer.status_code == 412


async def test_list_goes_on_where_it_ended():
    """Two and then one, with the way to the next page."""
    shop = http()
    for key in ("c", "a", "b"):
        await shop.put(f"/products/{key}", json=MUG)
    first = (await shop.get("/products?limit=2")).json()
    second = (await shop.get(first["next"])).json()

    assert [each["key"] for each in first["items"]] == ["a", "b"]
    assert [each["key"] for each in second["items"]] == ["c"]
    assert "next" not in second


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/products/none", None, 404),
        ("GET", "/products/Mug", None, 404),
        ("GET", "/products?limit=0", None, 422),
        ("DELETE", "/products/none", None, 404),
        ("PATCH", "/products/mug", MUG, 405),
        ("PUT", "/products/mug", {**MUG, "price_cents": "1"}, 422),
        ("PUT", "/products/mug", {**MUG, "price_cents": -1}, 422),
        ("PUT", "/products/mug", {**MUG, "more": 1}, 422),
        ("POST", "/products", {"name": ""}, 422),
        ("GET", "/articles/news/1", None, 404),
        ("GET", "/articles/news/one", None, 404),
        ("GET", "/articles/news/1x", None, 404),
        ("GET", "/articles/News", None, 404),
    ],
)
async def test_what_is_wrong_is_told_as_a_problem(method, path, body, status):
    """As everywhere in the service."""
    content = {} if body is None else {"json": body}
    answer = await http().request(method, path, **content)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


async def test_full_catalogue_has_no_room():
    """409, for products and articles alike, and what is there may still change."""
    shop = http(max_entries=1)
    await shop.put("/products/a", json=MUG)
    article = {"title": "t", "text": ""}
    await shop.post("/articles/news", json=article)
    answers = [
        await shop.put("/products/b", json=MUG),
        await shop.post("/products", json=MUG),
        await shop.post("/articles/news", json=article),
        await shop.put("/products/a", json=MUG),
    ]

    assert [each.status_code for each in answers] == [409, 409, 409, 200]


async def test_articles_of_a_category_are_listed_in_order():
    """By number, ten after nine, and no other category's."""
    shop = http()
    for n in range(11):
        article = {"title": str(n), "text": ""}
        made = await shop.post("/articles/news", json=article)
    await shop.post("/articles/new", json=article)
    first = (await shop.get("/articles/news?limit=10")).json()
    second = (await shop.get(first["next"])).json()

    assert made.headers["location"] == "/articles/news/11"
    assert (await shop.get("/articles/news/11")).json()["title"] == "10"
    titles = [each["title"] for each in first["items"] + second["items"]]
    assert titles == [str(n) for n in range(11)]


async def test_same_key_and_body_is_done_once():
    """The second answer is the first, and says so."""
    shop = http()
    first = await shop.post("/products", json=MUG, headers=ONCE)
    second = await shop.post("/products", json=MUG, headers=ONCE)
    other = await shop.post("/products", json={**MUG, "name": "Cup"}, headers=ONCE)
    without = await shop.post("/products", json=MUG)

    assert first.status_code == second.status_code == without.status_code == 201
    assert second.json() == first.json() != without.json()
    for name in ("location", "etag"):
        assert first.headers[name] == second.headers[name]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert other.status_code == 422
    assert len((await shop.get("/products")).json()["items"]) == 2


async def test_price_is_told_as_text_where_the_flag_is_on():
    """A new field, rolled out by a flag."""
    shop = http(flags=FlagSettings(price_text=True))
    made = await shop.put("/products/mug", json=MUG)

    assert made.json()["price_text"] == "12.50 EUR"


async def test_templates_and_part_of_typed_routes_are_known():
    """Metrics name the route with its pattern; a bulkhead may bound the feature."""
    service = create_service(SettingsStore.of(Settings()))
    await client(service.app).get("/articles/news/7")
    exposition = service.metrics.render("")[0].decode()
    parts = {route.part for route in service.app.routes if "product" in route.path}

    assert 'route="/articles/{category:[a-z][a-z0-9-]{0,31}}/{id:[0-9]+}"' in exposition
    assert parts == {"catalogue"}


async def test_openapi_tells_examples_patterns_and_problems():
    """Whoever reads the document knows what to send and what may come back."""
    document = (await http().get("/openapi.json")).json()
    post = document["paths"]["/products"]["post"]
    article = document["paths"]["/articles/{category}/{id}"]["get"]
    schema = document["components"]["schemas"]["ProductDetails"]

    assert {"201", "409", "422", "429"} <= set(post["responses"])
    assert "idempotency-key" in [each["name"].lower() for each in post["parameters"]]
    assert article["parameters"][1]["schema"]["pattern"] == "^[0-9]+$"
    assert schema["examples"] == [
        {"name": "Mug", "price_cents": 1250, "currency": "EUR"}
    ]
