"""Alerts by e-mail through Marigold Engage Delivery Cloud, from notifiers and from Airflow itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.notifier import BaseNotifier
from airflow.providers.common.compat.sdk import conf, redact

from airflow_provider_messaging.core.errors import AmbiguousDeliveryError, MessagingError
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.notifications._alert import Alert
from airflow_provider_messaging.notifications._common import recipients
from airflow_provider_messaging.notifications._delivery import Outcome, deliver
from airflow_provider_messaging.notifications._email_backend import send_email
from airflow_provider_messaging.notifications._mail import Composer
from airflow_provider_messaging.notifications._marigold import QuickMarigoldHook, sender_of

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.core.flow import Flow
    from airflow_provider_messaging.hooks._base import Client

__all__ = ["MarigoldEmailNotifier", "send_email"]

_BODIES = ("subject", "html", "text")
_SKEW = timedelta(minutes=1)
"""By which clocks may differ when older tracking events are left aside."""
_OLDEST = timedelta(days=1)
"""Tracking events that are older prove nothing where nobody knows when the event's task or run began."""


class MarigoldEmailNotifier(BaseNotifier):
    """Sends an e-mail about what happened to a task, a DAG run or a deadline.

    As ``on_failure_callback``, ``on_retry_callback``, ``on_success_callback`` and the like of tasks and DAGs, and in
    deadline alerts, synchronous or asynchronous::

        DAG("campaign", on_failure_callback=MarigoldEmailNotifier(to="oncall@example.com"))
        DeadlineAlert(..., callback=AsyncCallback(MarigoldEmailNotifier, {"to": "oncall@example.com"}))

    The default mail says what happened to which task, at which try, with the exception, the times, and links to log
    and run, in HTML and as text. Each recipient gets a message of their own. A callback that Airflow runs twice for
    one event sends once, where the vendor's tracking knows the first mail; what may or may not have been taken is
    looked up and never sent again.

    :param to: a recipient, or several, as a list or with commas between them.
    :param from_email: the sender, ``Name <address>`` or an address; by default the connection's extra ``sender``,
        else Airflow's ``[email] from_email``.
    :param reply: where replies go.
    :param subject: a template; by default what happened.
    :param html: a template; variables are escaped, and secrets that Airflow knows are masked. Beside Airflow's own
        variables there is ``alert``, see ``docs/notifications.md``.
    :param text: a template of the text alternative. Without `html` it is all there is.
    :param tags: the vendor's tags of the message.
    :param marigold_conn_id: a connection of type ``marigold``.
    """

    template_fields: Sequence[str] = ("to", "from_email", "reply", *_BODIES, "tags", "marigold_conn_id")

    def __init__(
        self,
        *,
        to: str | Sequence[str],
        from_email: str | None = None,
        reply: str | None = None,
        subject: str | None = None,
        html: str | None = None,
        text: str | None = None,
        tags: Sequence[str] = ("airflow-alert",),
        marigold_conn_id: str = MarigoldHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.to = to
        self.from_email = from_email
        self.reply = reply
        self.subject = subject
        self.html = html
        self.text = text
        self.tags = tags
        self.marigold_conn_id = marigold_conn_id

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render all but the mail itself, which is rendered for each event, escaped and without secrets."""
        jinja_env = jinja_env or self.get_template_env(dag=context.get("dag"))
        fields = [name for name in self.template_fields if name not in _BODIES]
        self._do_render_template_fields(self, fields, context, jinja_env, set())

    def notify(self, context: Context) -> None:
        """Send the mail to every recipient.

        :raises MessagingError: if one was not reached.
        """
        with QuickMarigoldHook(self.marigold_conn_id) as hook:
            outcome = hook.run(self._sending(hook, hook.client, context))
        self._conclude(outcome)

    async def async_notify(self, context: Context) -> None:
        """The same on an event loop."""
        hook = QuickMarigoldHook(self.marigold_conn_id)
        client = await hook.aclient()
        async with hook.async_transport(client) as runner:
            outcome = await runner.run(self._sending(hook, client, context))
        self._conclude(outcome)

    def _sending(self, hook: MarigoldHook, client: Client, context: Mapping[str, Any]) -> Flow[Outcome]:
        base_url = conf.get("api", "base_url", fallback="") or ""
        alert = Alert.of(context, base_url=base_url)
        composer = Composer(
            redact=lambda text: client.api.redact(str(redact(text))), environment=lambda: self._environment(context)
        )
        mail = composer.compose(
            alert,
            context,
            subject=self.subject,
            html=self.html,
            text=self.text,
            footer=f"Sent by Airflow{f' at {base_url}' if base_url else ''} through MarigoldEmailNotifier.",
        )
        row = {
            "from": sender_of(self.from_email, client),
            "reply": self.reply,
            "subject": mail.subject,
            "html": mail.html,
            "text": mail.text,
            "tags": list(self.tags),
        }
        to = recipients(self.to, vendor=hook.conn_type)
        channel = hook.email_channel(client)
        messages = []
        refused: list[MessagingError] = []
        for number, recipient in enumerate(to):
            reference = self._reference(alert, base_url, recipient)
            try:
                messages += channel.judged([{**row, "to": recipient, "reference": reference}])
            except MessagingError as error:
                self.log.debug("Recipient %d is refused", number)
                refused.append(error)
        began = alert.start or datetime.now(UTC) - _OLDEST
        outcome = yield from deliver(channel, messages, since=began - _SKEW, ask_first=True)
        outcome.failed[:0] = refused
        return outcome

    def _environment(self, context: Mapping[str, Any]) -> jinja2.Environment:
        """Return the environment of a DAG author's templates. It renders to text, also in DAGs with native objects."""
        dag = context.get("dag")
        if dag is None:
            return self.get_template_env()
        environment: jinja2.Environment = dag.get_template_env(force_sandboxed=True)
        return environment

    def _reference(self, alert: Alert, base_url: str, recipient: str) -> str:
        """Return the name of one mail: the same whenever this notifier tells this event to this recipient."""
        parts = (
            base_url,
            alert.kind,
            alert.dag_id,
            alert.run_id,
            str(alert.run_clears),
            alert.task_id,
            str(alert.map_index),
            str(alert.try_number),
            alert.deadline_id,
            *(getattr(self, name) or "" for name in _BODIES),
            recipient,
        )
        text = "".join(f"{len(part)}:{part}" for part in parts)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def _conclude(self, outcome: Outcome) -> None:
        total = outcome.accepted + len(outcome.failed)
        for error in outcome.failed:
            what = "may or may not have been sent" if isinstance(error, AmbiguousDeliveryError) else "was not sent"
            self.log.error("The alert by e-mail %s to one of %d recipients: %s", what, total, error)
        if outcome.failed:
            raise outcome.failed[0]
        known = f", {outcome.known} of them earlier" if outcome.known else ""
        self.log.info("The alert by e-mail was accepted for %d recipients%s", total, known)
