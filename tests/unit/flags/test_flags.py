"""Flags as the service asks them: who gets what, what is kept, what a reload does."""

import json

import pytest
from openfeature.event import ProviderEventDetails
from openfeature.exception import FlagNotFoundError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from prometheus_client import CollectorRegistry
from typing_extensions import override

from service.app import create_app
from service.flags import Flags
from service.flags.provider import SettingsProvider
from service.flags.rules import share
from service.observability.flag_metrics import FlagMetrics
from service.server.context import RequestContext
from service.settings import DemoSettings, FlagRule, FlagSettings, Settings
from tests.support.asgi import client
from tests.support.waiting import until


def context(request_id: str, *, route: str = "/") -> RequestContext:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    ctx = RequestContext(scope, None, None, body_limit=0)
    ctx.request_id, ctx.route = request_id, route
    return ctx


def flags(rule: FlagRule | None = None, *, user: str | None = None, **fields) -> Flags:
    rules = {} if rule is None else {"page": rule}
    settings = FlagSettings(rules=rules, **fields)
    return Flags(lambda: settings, authenticate=[lambda _ctx: user])


class Counting(SettingsProvider):
    """A provider that counts how often it is asked, and has another reason to give."""

    def __init__(self, settings, reason):
        super().__init__(settings)
        self.asked = 0
        self.value = True
        self.reason = reason

    @override
    def resolve_boolean_details(self, flag_key, default_value, evaluation_context=None):
        self.asked += 1
        return FlagResolutionDetails(self.value, reason=self.reason)


def test_flag_is_what_the_settings_say():
    """On or off for everybody, when no rule tells otherwise."""
    asked = flags(latency=False)

    assert asked.boolean("page", default=False) is True
    assert asked.boolean("latency", default=True) is False


@pytest.mark.parametrize("name", ["nope", "rules", "flagd", "__class__"])
def test_what_is_no_flag_is_the_default(name):
    """A flag that nobody knows is what its caller takes for safe."""
    assert flags().boolean(name, default=True) is True
    assert flags().boolean(name, default=False) is False


def test_reload_takes_effect_with_the_next_question():
    """What was kept belongs to the settings that it came from."""
    now = [FlagSettings()]
    asked = Flags(lambda: now[0])
    before = asked.boolean("page", default=False)
    now[0] = FlagSettings(page=False)

    assert (before, asked.boolean("page", default=True)) == (True, False)


@pytest.mark.parametrize(("reason", "asked"), [(Reason.STATIC, 1), (Reason.SPLIT, 3)])
def test_only_what_holds_for_all_is_kept(reason, asked):
    """A static answer is asked for once, one that depends on who asks each time."""
    settings = FlagSettings()
    provider = Counting(lambda: settings, reason)
    kept = Flags(lambda: settings, provider=provider)
    for _ in range(3):
        kept.boolean("page", default=False)

    assert provider.asked == asked


def test_each_answer_is_counted_by_value_and_reason():
    """Those that were kept, too, and those that nobody could give."""
    registry = CollectorRegistry()
    settings = FlagSettings(
        price_text=True, rules={"price_text": FlagRule(routes=["/a"])}
    )
    asked = Flags(lambda: settings, metrics=FlagMetrics(registry))
    for _ in range(3):
        asked.boolean("page", default=False)
    asked.boolean("price_text", context("1", route="/a"), default=False)
    asked.boolean("price_text", context("1", route="/b"), default=False)
    asked.boolean("nope", default=True)
    asked.view()

    def count(*labels):
        labels = dict(zip(("flag", "value", "reason"), labels, strict=True))
        return registry.get_sample_value("httpserver_flag_evaluations_total", labels)

    assert count("page", "on", "static") == 3
    assert count("price_text", "on", "targeting_match") == 1
    assert count("price_text", "off", "targeting_match") == 1
    assert count("nope", "on", "error") == 1


def test_view_tells_what_nobody_knows():
    """A provider without a flag leaves it at its default, and says so."""

    class Ignorant(SettingsProvider):
        @override
        def resolve_boolean_details(self, flag_key, default_value, evaluation_context):
            raise FlagNotFoundError("never heard of it")

    settings = FlagSettings()
    told = Flags(lambda: settings, provider=Ignorant(lambda: settings)).view()["flags"][
        "page"
    ]

    assert told == {
        "value": True,
        "default": True,
        "reason": "error",
        "error": "never heard of it",
    }


async def test_news_of_the_provider_end_what_was_kept():
    """A provider with a stream of its own tells when its flags have changed."""
    settings = FlagSettings()
    provider = Counting(lambda: settings, Reason.STATIC)
    kept = Flags(lambda: settings, provider=provider)
    await kept.start()
    before = kept.boolean("page", default=False)
    provider.value = False
    provider.emit_provider_configuration_changed(ProviderEventDetails())

    until(lambda: not kept.boolean("page", default=True))
    await kept.stop()
    assert before is True
    assert kept.boolean("other", default=True) is True


def test_percentage_is_of_all_and_stable():
    """About so many get it, the same ones each time, more of them with more percent."""
    people = [f"request-{n}" for n in range(2000)]
    twice = [
        {who for who in people if each.boolean("page", context(who), default=False)}
        for each in (flags(FlagRule(percentage=10)), flags(FlagRule(percentage=10)))
    ]
    more = flags(FlagRule(percentage=40))
    forty = {who for who in people if more.boolean("page", context(who), default=False)}

    assert twice[0] == twice[1]
    assert 120 < len(twice[0]) < 280
    assert twice[0] < forty
    assert 700 < len(forty) < 900


def test_flags_choose_their_own_shares():
    """Who is first to get one flag is not first to get them all."""
    first = {n for n in range(1000) if share("a", str(n)) < 10}
    second = {n for n in range(1000) if share("b", str(n)) < 10}

    assert len(first & second) < 40


def test_named_user_gets_it_in_any_case():
    """Those who are named are no part of the share."""
    rule = FlagRule(percentage=0, users=["ann"])

    assert flags(rule, user="ann").boolean("page", context("r"), default=False) is True
    assert flags(rule, user="bob").boolean("page", context("r"), default=True) is False


def test_rule_for_a_route_leaves_others_out():
    """The flag is on there alone."""
    asked = flags(FlagRule(routes=["/a/{id}"]))

    assert asked.boolean("page", context("r", route="/a/{id}"), default=False) is True
    assert asked.boolean("page", context("r", route="/b"), default=True) is False


def test_flag_that_is_off_is_off_for_named_users_too():
    """The switch is above the rules."""
    asked = flags(FlagRule(users=["ann"]), user="ann", page=False)

    assert asked.boolean("page", context("r"), default=True) is False


def test_rule_for_no_flag_is_a_mistake():
    """A name with a slip would do nothing, silently."""
    with pytest.raises(ValueError, match=r"flags\.rules names no flag: pages"):
        FlagSettings(rules={"pages": FlagRule()})


async def test_page_is_rolled_out_to_a_share_of_the_requests():
    """The page's own flag goes by the request id."""
    rule = FlagRule(percentage=50)
    flag = FlagSettings(random_delay=False, rules={"page": rule})
    http = client(create_app(Settings(flags=flag, demo=DemoSettings())))
    kinds = set()
    for n in range(40):
        headers = {"accept": "text/html", "x-request-id": f"r{n}"}
        kinds.add((await http.get("/", headers=headers)).headers["content-type"])

    assert kinds == {"text/html; charset=utf-8", "application/json"}


async def test_flags_come_from_a_file_of_flagd(tmp_path):
    """Its format, with its targeting, in place of the settings."""
    targeting = {"if": [{"==": [{"var": "route"}, "/beta"]}, "on", "off"]}
    both = {"variants": {"on": True, "off": False}, "state": "ENABLED"}
    page = {**both, "defaultVariant": "off"}
    latency = {**both, "defaultVariant": "off", "targeting": targeting}
    file = tmp_path / "flags.json"
    file.write_text(json.dumps({"flags": {"page": page, "latency": latency}}))
    settings = FlagSettings(provider="flagd", flagd=f"file:{file}")
    asked = Flags(lambda: settings)
    before = asked.boolean("page", default=True)
    await asked.start()
    try:
        until(lambda: not asked.boolean("page", default=True))
        beta = asked.boolean("latency", context("r", route="/beta"), default=False)
        other = asked.boolean("latency", context("r", route="/"), default=True)
    finally:
        await asked.stop()

    assert (before, beta, other) == (True, True, False)
