"""
The settings as a provider of OpenFeature: the file or ConfigMap that the service reads
anyway, reloaded as it is.

What depends on nobody is told as `STATIC`, which lets callers keep it; what a rule
decides as `TARGETING_MATCH`, or `SPLIT` where a share of all gets it.

Source: https://openfeature.dev/specification/sections/providers
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata
from typing_extensions import override

from service.flags.rules import applies
from service.settings import FlagRule, FlagSettings

__all__ = ["ROUTE", "USER", "SettingsProvider"]

ROUTE = "route"
USER = "user"
"""Attributes of the evaluation context: the route's template, the user's name."""

_EVERYBODY = FlagRule()


class SettingsProvider(AbstractProvider):
    """
    Tells the flags of the settings.

    Args:
        settings: Gives them as they are now.

    Concurrency:
        Any thread.
    """

    def __init__(self, settings: Callable[[], FlagSettings]) -> None:
        super().__init__()
        self._settings = settings

    @override
    def get_metadata(self) -> Metadata:
        return Metadata(name="settings")

    @override
    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        settings = self._settings()
        value = getattr(settings, flag_key, None)
        field = FlagSettings.model_fields.get(flag_key)
        if not isinstance(value, bool) or field is None:
            raise FlagNotFoundError(f"there is no flag {flag_key}")
        rule = settings.rules.get(flag_key, _EVERYBODY)
        if not value or rule == _EVERYBODY:
            return _told(value=value, reason=Reason.STATIC)
        context = evaluation_context or EvaluationContext()
        split = 0 < rule.percentage < 100  # noqa: PLR2004 - percent
        return _told(
            value=applies(
                rule,
                flag_key,
                key=context.targeting_key or "",
                route=str(context.attributes.get(ROUTE, "")),
                user=str(context.attributes.get(USER, "")),
            ),
            reason=Reason.SPLIT if split else Reason.TARGETING_MATCH,
        )

    @override
    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        raise _only_booleans(flag_key)

    @override
    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        raise _only_booleans(flag_key)

    @override
    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        raise _only_booleans(flag_key)

    @override
    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Any]:
        raise _only_booleans(flag_key)


def _told(*, value: bool, reason: Reason) -> FlagResolutionDetails[bool]:
    return FlagResolutionDetails(value, variant="on" if value else "off", reason=reason)


def _only_booleans(flag_key: str) -> TypeMismatchError:
    return TypeMismatchError(f"{flag_key}: flags of the settings are on or off")
