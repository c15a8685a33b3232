"""An alert as an e-mail: subject, HTML for mail programs, and plain text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.links import runbook_of
from airflow_provider_messaging.notifications._alert import Alert

if TYPE_CHECKING:
    import jinja2

Redact = Callable[[str], str]

LONGEST_SUBJECT = 180
LONGEST_EXCEPTION = 3000
_TEMPLATES = Path(__file__).parent / "templates"
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_PASSWORD_IN_URL = re.compile(r"(://[^/\s:@'\"]*:)[^/\s@'\"]+(?=@)")


@dataclass(frozen=True, slots=True)
class Tone:
    """How a kind of event looks: its color, that on dark ground, two backgrounds, and a sign."""

    color: str
    light: str
    day: str
    night: str
    sign: str


_TONES = {
    "failed": Tone("#c62828", "#ff8a80", "#fdf1f0", "#331d1e", "!"),
    "retry": Tone("#b45309", "#fbbf6b", "#fdf5e9", "#33271a", "↻"),
    "success": Tone("#1b7f4b", "#6ddfa4", "#eef8f2", "#182c22", "✓"),
    "skipped": Tone("#5b6773", "#b4bec8", "#f3f5f7", "#252c33", "»"),
    "deadline": Tone("#6d3fc0", "#c3a6ff", "#f5f1fc", "#271f38", "◷"),
}
_OTHER = Tone("#1f6fb5", "#86c1f2", "#eef5fb", "#18283a", "i")
_KILLED = "No exception came with it: its process was killed, ran out of memory, or was lost. The log may tell."
_TITLES = {
    "failed": "failed",
    "retry": "failed, another try follows",
    "success": "succeeded",
    "skipped": "was skipped",
    "running": "is running",
    "deadline": "missed its deadline",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What a mail says; `html` or `text` is there."""

    subject: str
    html: str | None
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Composer:
    """Writes mails of alerts.

    :param redact: takes secrets out of every text before it is escaped.
    :param environment: for templates of a DAG author.
    """

    redact: Redact
    environment: Callable[[], jinja2.Environment]

    def compose(
        self,
        alert: Alert,
        context: Mapping[str, Any],
        *,
        subject: str | None,
        html: str | None,
        text: str | None,
        footer: str,
    ) -> Mail:
        """Return the mail. What is not given is the default; a text of one's own goes without HTML."""
        own = {**context, "alert": alert}
        values = self._values(alert, footer)
        if html is not None:
            html = self._own(html, own, autoescape=True)
        elif text is None:
            html = self._default("alert.html", values, autoescape=True)
        text = self._default("alert.txt", values) if text is None else self._own(text, own)
        subject = _subject(alert) if subject is None else self._own(subject, own)
        return Mail(subject=one_line(clean(subject, self.redact)), html=html, text=text)

    def _own(self, template: str, values: Mapping[str, Any], *, autoescape: bool = False) -> str:
        environment = self.environment().overlay(autoescape=autoescape, finalize=self._finalize)
        return clean(environment.from_string(template).render(values), self.redact)

    def _default(self, name: str, values: Mapping[str, Any], *, autoescape: bool = False) -> str:
        import jinja2

        environment = jinja2.Environment(
            autoescape=autoescape,
            finalize=self._finalize,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        return environment.from_string((_TEMPLATES / name).read_text(encoding="utf-8")).render(values)

    def _finalize(self, value: Any) -> Any:
        """Take secrets out of a value while it is what it was: escaped, nobody would know them again."""
        import jinja2
        from markupsafe import Markup

        if value is None or isinstance(value, bool | int | float | jinja2.Undefined):
            return value
        cleaned = clean(str(value), self.redact)
        return Markup(cleaned) if isinstance(value, Markup) else cleaned

    def _values(self, alert: Alert, footer: str) -> dict[str, Any]:
        from markupsafe import Markup

        facts = [(label, clean(value, self.redact)) for label, value in _facts(alert) if value]
        exception = clean(alert.exception, self.redact) or (_KILLED if alert.is_unexplained else "")
        if len(exception) > LONGEST_EXCEPTION:
            exception = exception[:LONGEST_EXCEPTION] + "\n… the log has the rest"
        title = f"{'Task' if alert.task_id else 'DAG run'} {_TITLES.get(alert.kind, 'needs attention')}"
        return {
            "alert": alert,
            "tone": _TONES.get(alert.kind, _OTHER),
            "title": title,
            "exception": exception,
            "preview": exception.split("\n")[0] or ", ".join(f"{label.lower()} {value}" for label, value in facts[:3]),
            "facts": facts,
            "width": max((len(label) for label, _ in facts), default=0) + 1,
            "links": [(label, url) for label, url in _links(alert) if url],
            "footer": footer,
            "line_break": Markup("<br>"),
        }


def clean(text: str, redact: Redact) -> str:
    """Return a text without secrets, and without what no mail can hold."""
    printable = _CONTROL.sub("", text).encode("utf-8", "replace").decode()
    return _PASSWORD_IN_URL.sub(r"\1***", redact(printable))


def one_line(subject: str) -> str:
    """Return a subject as a header can hold it, and not longer than anybody reads."""
    line = " ".join(subject.split())
    return line if len(line) <= LONGEST_SUBJECT else line[: LONGEST_SUBJECT - 1] + "…"


def _subject(alert: Alert) -> str:
    mapped = f" [{alert.map_index}]" if alert.map_index >= 0 else ""
    what = "missed its deadline" if alert.kind == "deadline" else alert.what
    return f"[Airflow] {alert.subject}{mapped} {what}" + (f", try {tried}" if (tried := _tried(alert)) else "")


def _facts(alert: Alert) -> Iterator[tuple[str, str]]:
    yield "DAG", alert.dag_id
    yield "Task", alert.task_id + (f" ({alert.operator})" if alert.operator else "")
    yield "Map index", str(alert.map_index) if alert.map_index >= 0 else ""
    yield "Run", alert.run_id
    yield "Try", _tried(alert)
    yield "Reason", alert.reason if alert.reason != "success" else ""
    yield "Deadline", shown(alert.deadline)
    yield "Started", shown(alert.start)
    yield "Ended", shown(alert.end)
    yield "Duration", took(alert.duration)
    yield "Raised in", alert.raised_at


def _links(alert: Alert) -> Iterator[tuple[str, str]]:
    yield "Open the log", alert.log_url
    yield "Open the run", alert.run_url
    yield "What to do", runbook_of(alert.error)


def _tried(alert: Alert) -> str:
    if alert.try_number is None:
        return ""
    # Whoever clears a task gets more tries than it had before.
    of = f" of {alert.tries}" if alert.tries is not None and alert.tries >= alert.try_number else ""
    return f"{alert.try_number}{of}"


def shown(moment: datetime | str | None) -> str:
    """Return a moment as people read it, in UTC; what is none stays as it is."""
    if not moment:
        return ""
    if isinstance(moment, str):
        try:
            return shown(datetime.fromisoformat(moment))
        except ValueError:
            return moment
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def took(duration: timedelta | None) -> str:
    """Return a duration as people read it: ``2 h 5 min``, ``3.2 s``."""
    if duration is None or duration < timedelta():
        return ""
    seconds = duration.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
