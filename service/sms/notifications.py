"""
What Alertmanager sends to a webhook, version 4, as far as a text message needs it.

Members that are not named here are let through: Alertmanager adds some from time to
time. Those that are named are read strictly.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from service.server.context import RequestContext
from service.server.typed_bodies import BodyModel

__all__ = ["MAX_BYTES", "Alert", "Notification", "read"]

MAX_BYTES = 262_144
"""Largest body: some hundred alerts; `max_alerts` of the webhook keeps it far below."""

Status = Literal["firing", "resolved"]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, populate_by_name=True)


class Alert(_Document):
    """One alert of a group."""

    status: Status
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: str = Field("", alias="startsAt")
    fingerprint: str


class Notification(_Document):
    """A group of alerts, and what came of it."""

    version: Literal["4"]
    group_key: Annotated[str, Field(alias="groupKey", min_length=1)]
    status: Status
    truncated: int = Field(0, alias="truncatedAlerts", ge=0)
    alerts: list[Alert] = Field(min_length=1)

    @property
    def identity(self) -> str:
        """
        The same for each attempt to deliver the same news, and for nothing else.

        An alert that fires anew is other news: its start is part of it.
        """
        alerts = sorted(
            (each.fingerprint, each.status, each.starts_at) for each in self.alerts
        )
        whole = json.dumps([self.group_key, self.status, self.truncated, alerts])
        return hashlib.sha256(whole.encode()).hexdigest()


_BODY = BodyModel(FieldInfo(annotation=Notification))


async def read(ctx: RequestContext) -> Notification:
    """
    Return the body as a notification.

    Raises:
        UnsupportedMediaType: The body is announced as something else than JSON.
        BadRequest: It is no strict JSON.
        ContentTooLarge: It is longer than `MAX_BYTES`.
        Unprocessable: It is no notification of version 4.
    """
    await ctx.read_json()  # duplicate members and the like, which pydantic would take
    body = await ctx.read_body()
    _BODY.check(body)
    return Notification.model_validate_json(body)
