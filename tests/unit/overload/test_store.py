"""The shared store follows the settings; nothing is connected before it is asked."""

from service.app import create_service
from service.config import SettingsStore
from service.overload.store import Store
from service.resilience.keyed_throttle import KeyedThrottle
from service.settings import Settings, ThrottleSettings


def one() -> tuple[float, float]:
    return 1, 1


async def test_store_follows_the_settings():
    """None, one, another and none again; the one before is let go of."""
    urls = iter([None, "redis://127.0.0.1:1/0", "redis://127.0.0.1:2/0", None])
    now = ThrottleSettings()
    metrics = create_service(SettingsStore.of(Settings())).metrics.overload
    store = Store(
        lambda: now,
        limits=one,
        local=KeyedThrottle(one),
        metrics=metrics,
        prefix="test:",
    )

    seen = []
    for url in urls:
        now = ThrottleSettings.model_validate({"store": url})
        store.use()
        seen.append(store.shared)
    await store.close()

    assert [each is not None for each in seen] == [False, True, True, False]
    assert seen[1] is not seen[2]
