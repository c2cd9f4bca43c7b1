"""The catalogue of a running service, asked by many at once."""

import asyncio

import httpx2

from tests.support.process import serving

MUG = {"name": "Mug", "price_cents": 1250}


async def post(url, times):
    """Send the same POST so many times at once; return the answers and the products."""
    headers = {"idempotency-key": '"one"'}
    async with httpx2.AsyncClient(base_url=url, timeout=20) as http:
        asked = [
            http.post("/products", json=MUG, headers=headers) for _ in range(times)
        ]
        answers = await asyncio.gather(*asked)
        return answers, (await http.get("/products")).json()["items"]


def test_one_key_sent_fifty_times_at_once_makes_one_product():
    """One did it; the others got its answer, or were told to come back."""
    with serving() as service:
        answers, items = asyncio.run(post(service.url, 50))
    made = [each for each in answers if each.status_code == 201]
    first = [each for each in made if "idempotent-replayed" not in each.headers]

    assert len(items) == len(first) == 1
    assert {each.status_code for each in answers} <= {201, 409}
    assert {each.json()["key"] for each in made} == {items[0]["key"]}
