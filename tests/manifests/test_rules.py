"""The rules: valid, tested one by one, explained, and the same wherever they are."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart import ROOT, need_tool, only, render
from tests.support.kustomize import build
from tools import alert_rules
from tools.short_rules import shortened

Rule = dict[str, Any]

TESTS = sorted((Path(__file__).parent / "rules").glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
RULES: list[Rule] = [rule for group in alert_rules.groups() for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
SEVERITIES = {"critical", "warning", "info"}
OTHERS = {"up", "certmanager_certificate_ready_status"}
"""Series of Prometheus itself and of cert-manager."""

WORDS = {
    *("absent", "and", "by", "changes", "count", "histogram_quantile", "increase"),
    *("ignoring", "label_replace", "max", "min", "or", "rate", "sort", "sum", "time"),
    "topk",
}
"""Functions and operators of PromQL that rules and runbooks use."""

CHANGED = {
    'job="httpserver"}': "",
    "(1 - 0.999)": "prometheusRule.slo.availability=0.9",
    "(1 - 0.99)": "prometheusRule.slo.latency=0.9",
    'le="2.5"': "prometheusRule.slo.latencyBound=1",
    "> 2.5": "prometheusRule.slo.latencyBound=1",
    "> 0.05": "prometheusRule.errorRatio=0.3",
    "/livez": 'prometheusRule.slo.ignoredRoutes="/up"',
    "/delay/": 'prometheusRule.slo.slowRoutes="/report"',
    "httpserver-(tls|ca|log-.+)": "",
    "docs/runbooks/": 'prometheusRule.runbookUrl="https://wiki.example.org"',
}
"""Words of the source, and the value that takes the place of each in the chart."""

each_alert = pytest.mark.parametrize("name", sorted(ALERTS))


def promtool(*arguments: str | Path) -> None:
    """Run promtool; what it complains of is in the failure."""
    done = subprocess.run(
        [need_tool("promtool"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def of_chart(*sets: str) -> list[dict[str, Any]]:
    """Return the rule groups that the chart makes."""
    manifests = render(sets=("prometheusRule.enabled=true", *sets))
    groups: list[dict[str, Any]] = only(manifests, "PrometheusRule")["spec"]["groups"]
    return groups


def files() -> list[Path]:
    """List every plain rule file."""
    return [*alert_rules.RULES.glob("*.yaml"), ROOT / "helm/monitoring/rules.yaml"]


@pytest.mark.parametrize("file", files(), ids=lambda path: path.name)
def test_rule_file_passes_every_lint(file: Path) -> None:
    """Prometheus takes the file as it is, templates of the texts too."""
    promtool("check", "rules", "--lint=all", "--lint-fatal", file)


@pytest.mark.parametrize(
    "sets", [(), tuple(value for value in CHANGED.values() if value)]
)
def test_rules_of_the_chart_pass_every_lint(
    sets: tuple[str, ...], tmp_path: Path
) -> None:
    """What the templates put in leaves the rules valid."""
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": of_chart(*sets)}))

    promtool("check", "rules", "--lint=all", "--lint-fatal", path)


@pytest.mark.parametrize("file", TESTS, ids=lambda path: path.stem)
def test_rules_do_what_their_tests_say(file: Path) -> None:
    """`promtool test rules` passes."""
    promtool("test", "rules", file)


@each_alert
def test_alert_is_seen_firing_and_silent(name: str) -> None:
    """Each alert has a test in which it fires, and is silent before and after."""
    wanted = f'alertname="{name}"'
    steps = [
        (step["eval_time"], bool(step["exp_samples"]))
        for file in TESTS
        for test in yaml.safe_load(file.read_text())["tests"]
        for step in test.get("promql_expr_test", [])
        if wanted in step["expr"]
    ]
    fired = [number for number, (_time, firing) in enumerate(steps) if firing]

    assert len(steps) >= 3
    assert fired
    assert fired[0] > 0
    assert fired[-1] < len(steps) - 1


@each_alert
def test_alert_says_what_it_is_and_what_to_do(name: str) -> None:
    """Severity, summary, a description with a value or a place, and a runbook."""
    alert = ALERTS[name]
    texts = alert["annotations"]

    assert name.startswith("Httpserver")
    assert alert["labels"]["severity"] in SEVERITIES
    assert texts["summary"].strip()
    assert re.search(r"\$(value|labels)", texts["description"])
    assert texts["runbook"] == f"docs/runbooks/{name}.md"


@each_alert
def test_runbook_tells_meaning_impact_look_and_remedy(name: str) -> None:
    """Each has the same parts, and shows how to look."""
    text = (RUNBOOKS / f"{name}.md").read_text()
    parts = re.findall(r"^## (.+)$", text, re.MULTILINE)

    assert text.startswith(f"# {name}\n")
    assert parts == ["Meaning", "Impact", "Look", "Mend", "False alarm"]
    assert "```" in text
    assert f"`{ALERTS[name]['labels']['severity']}`" in text


def queries() -> list[str]:
    """Take the queries of the runbooks and of docs/alerts.md, one a string."""
    pages = [*RUNBOOKS.glob("*.md"), ROOT / "docs" / "alerts.md"]
    blocks = [
        block
        for page in pages
        for block in re.findall(r"```promql\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    bare = re.sub(r"^#.*\n", "", "\n".join(blocks), flags=re.MULTILINE)
    return re.sub(r"\n+ +", " ", bare).split("\n")


def test_queries_of_the_runbooks_are_right(tmp_path: Path) -> None:
    """Prometheus can read each one, and it asks for series that exist."""
    asked = [query for query in queries() if query]
    rules = [
        {"record": f"query:{number}", "expr": query}
        for number, query in enumerate(asked)
    ]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    unknown = {name for query in asked for name in metrics_of(query)}

    promtool("check", "rules", path)
    assert len(asked) > 40
    assert unknown <= documented() | RECORDED | OTHERS


def test_every_runbook_has_its_alert_and_its_row() -> None:
    """No runbook of an alert that is gone; docs/alerts.md lists all, and no other."""
    table = (ROOT / "docs" / "alerts.md").read_text()
    rows = re.findall(
        r"^\| \[`(\w+)`\]\(runbooks/(\w+)\.md\) \| (\w+) \|", table, re.MULTILINE
    )

    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(ALERTS)
    assert {(name, name, ALERTS[name]["labels"]["severity"]) for name in ALERTS} == {
        *rows
    }
    assert all(f"`{name}`" in table or name[-2:] in table for name in RECORDED)


def metrics_of(expr: str) -> set[str]:
    """Take the names of series from an expression."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[\w+\]|\b(?:by|ignoring) \([^)]*\)', " ", expr)
    return set(re.findall(r"(?<![\w:.])[a-z_][\w:]*", bare)) - WORDS


def documented() -> set[str]:
    """Return the series that docs/metrics.md lists."""
    text = (ROOT / "docs" / "metrics.md").read_text()
    names = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    return {
        name + suffix for name in names for suffix in ("", "_bucket", "_count", "_sum")
    }


@pytest.mark.parametrize(
    "rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"]
)
def test_rule_asks_for_series_that_exist(rule: Rule) -> None:
    """Each name is of docs/metrics.md, recorded by another rule, or named above."""
    asked = metrics_of(rule["expr"])

    assert asked
    assert asked <= documented() | RECORDED | OTHERS


@pytest.mark.parametrize(
    "rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"]
)
def test_rule_looks_at_one_job_and_tells_where(rule: Rule) -> None:
    """Each selector names the job; what is recorded and alerted has the namespace."""
    selectors = re.findall(r"\{([^}]*)\}", rule["expr"])
    grouped = re.findall(r"\bby \(([^)]*)\)", rule["expr"])

    assert selectors
    assert all("job=" in each or "certmanager" in rule["expr"] for each in selectors)
    assert all("namespace" in each for each in grouped)


def test_copies_are_current() -> None:
    """`python -m tools.alert_rules` would change nothing."""
    for path, text in alert_rules.render().items():
        assert path.read_text() == text, f"run: python -m tools.alert_rules ({path})"


def test_every_place_has_the_same_rules() -> None:
    """Plain file, loki-stack values, component and chart: the source, and no more."""
    source = alert_rules.groups()
    monitoring = ROOT / "helm" / "monitoring"
    plain = yaml.safe_load((monitoring / "rules.yaml").read_text())
    stack = yaml.safe_load((monitoring / "loki-stack-rules.yaml").read_text())
    component = only(build("k8s/overlays/production"), "PrometheusRule")
    text = json.dumps(of_chart()).replace(r",namespace=\"httpserver\"", "")
    chart = json.loads(
        text.replace(
            "httpserver-tls|httpserver-ca|httpserver-log-.+",
            "httpserver-(tls|ca|log-.+)",
        )
    )

    assert plain["groups"] == source
    files = stack["prometheus"]["serverFiles"]
    assert files["alerting_rules.yml"]["groups"] == source
    assert component["spec"]["groups"] == source
    assert chart == source


def test_plain_prometheus_reads_the_rules() -> None:
    """Its configuration names the file beside it."""
    config = yaml.safe_load((ROOT / "helm/monitoring/prometheus.yaml").read_text())

    assert config["rule_files"] == ["rules.yaml"]


def words_of(groups: list[dict[str, Any]]) -> str:
    """Put all expressions and texts of rules together."""
    rules = [rule for group in groups for rule in group["rules"]]
    texts = [text for rule in rules for text in rule.get("annotations", {}).values()]
    return "\n".join([*(rule["expr"] for rule in rules), *texts])


@pytest.mark.parametrize("word", CHANGED)
def test_value_takes_the_place_of_each_word_of_the_source(word: str) -> None:
    """A threshold that is written differently somewhere would be left behind."""
    sets = [value for value in [CHANGED[word]] if value]
    source, chart = (words_of(each) for each in (alert_rules.groups(), of_chart(*sets)))

    assert word in source
    assert word not in chart


def test_shortened_rules_have_every_time_divided(tmp_path: Path) -> None:
    """Windows, `for` and intervals; names and thresholds stay, and it is valid."""
    short = shortened({"spec": {"groups": alert_rules.groups()}}, 20)["spec"]
    rules = [rule for group in short["groups"] for rule in group["rules"]]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(short))

    assert [rule.get("alert") for rule in rules] == [one.get("alert") for one in RULES]
    burn = next(one for one in rules if one.get("alert") == "HttpserverErrorRatioHigh")
    assert burn["for"] == "15000ms"
    assert "[15000ms]" in str(rules)
    assert not re.search(r"\[\d+[smhd]\]", str(rules))
    promtool("check", "rules", "--lint=all", path)
