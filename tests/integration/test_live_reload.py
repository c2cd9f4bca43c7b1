"""The running service takes new settings, and says what it does not take."""

import signal

import httpx2

from tests.support.process import serving
from tests.support.settings_files import KubernetesMount

QUICK = {"server__drain_delay": 0, "server__grace_period": 5}


def test_configmap_changes_the_log_level_live_and_a_broken_one_nothing(tmp_path):
    """A swapped ConfigMap takes effect; a broken one keeps it, in log and metric."""
    mount = KubernetesMount(tmp_path / "etc", config_yaml="log: {level: info}")
    secrets = KubernetesMount(tmp_path / "secrets")
    with serving(
        environment={
            "HTTPSERVER_CONFIG": str(tmp_path / "etc" / "config.yaml"),
            "HTTPSERVER_SECRETS_DIR": str(tmp_path / "secrets"),
        },
        **QUICK,
    ) as service:
        mount.swap(config_yaml="log: {level: debug}\nserver: {name: other}")
        waiting = service.await_event("settings_need_restart")
        reloaded = service.await_event("settings_reloaded")
        mount.swap(config_yaml="log: {level: loud}")
        failed = service.await_event("settings_reload_failed")
        metrics = httpx2.get(f"{service.admin_url}/metrics").text
        mount.swap(config_yaml="log: {level: info}")
        service.await_event("settings_reloaded", changed=["log.level"])
        secrets.swap(login__token_key="k" * 32)
        secret = service.await_event("settings_reloaded")
        service.signal(signal.SIGTERM)
        code = service.await_exit()

    assert waiting["settings"] == ["server.name"]
    assert reloaded["values"] == {"log.level": "debug"}
    assert "config.yaml:1: log.level: must be" in failed["problems"][0]
    assert "httpserver_config_reload_success 0.0" in metrics
    assert 'httpserver_config_reloads_total{result="failed"} 1.0' in metrics
    assert secret["changed"] == ["login.token_key"]
    assert "kkkk" not in str(service.log)
    assert code == 0


def test_hangup_reloads_the_settings(tmp_path):
    """SIGHUP loads all sources anew and says when nothing differs."""
    with serving(**QUICK) as service:
        service.signal(signal.SIGHUP)
        unchanged = service.await_event("settings_unchanged")

    assert unchanged["level"] == "info"
