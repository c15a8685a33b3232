"""What the vendor's sends and writes have in common: one item a request, and refusals that name the call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from airflow_provider_messaging.core.channel import SendChannel
from airflow_provider_messaging.core.errors import FieldError
from airflow_provider_messaging.core.http import Reply, Response
from airflow_provider_messaging.core.messages import Message, RequestRejected, Verdict
from airflow_provider_messaging.vendors.messangi.envelope import REJECTED, Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class MessangiChannel(SendChannel):
    """Adds to a refusal the id by which the vendor's support finds the call."""

    def judge(self, reply: Reply, messages: Sequence[Message]) -> Verdict:
        verdict = SendChannel.judge(self, reply, messages)
        if not isinstance(verdict, RequestRejected) or not isinstance(reply, Response):
            return verdict
        trace_id = self.api.read_problem(reply).trace_id
        if not trace_id:
            return verdict
        return RequestRejected(replace(verdict.error, message=f"{verdict.error.message} (trace id {trace_id})"))

    def rejected(self, envelope: Envelope) -> RequestRejected:
        """Return the verdict of an answer that says REJECTED, whatever its status."""
        reason = self.api.redact(envelope.reason) or "no reason given"
        return RequestRejected(FieldError(field="", code=REJECTED, message=reason))
