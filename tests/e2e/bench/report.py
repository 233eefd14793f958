"""What the sections found, as a table for people and one object for programs."""

import math
import statistics
from dataclasses import dataclass, field


def median(values):
    return statistics.median(values) if values else math.nan


def percentile(values, share):
    """The value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def ratio(values, others):
    """Of samples taken at the same time, pair by pair."""
    return [a / b for a, b in zip(values, others) if b]


def difference(values, others, parts=1):
    return [(a - b) / parts for a, b in zip(values, others)]


@dataclass
class Goal:
    """A figure that is wanted: at most `limit`."""

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def met(self):
        return self.value <= self.limit

    def __str__(self):
        verdict = "met" if self.met else f"MISSED by {self._excess()}"
        return f"{self.what}: {number(self.value)}{self._unit()}, wanted at most {number(self.limit)}{self._unit()}: {verdict}"

    def _excess(self):
        if math.isnan(self.value):
            return "not being measured"
        if not self.limit:
            return number(self.value) + self._unit()
        return f"{number(self.value - self.limit)}{self._unit()} ({self.value / self.limit:.2f} times the limit)"

    def _unit(self):
        return f" {self.unit}" if self.unit else ""

    def as_json(self):
        return {"what": self.what, "value": plain(self.value), "limit": self.limit, "unit": self.unit, "met": self.met}


@dataclass
class Table:
    """Rows of a name and one value per column; samples are shown as median, lowest and highest."""

    title: str
    columns: list
    rows: list = field(default_factory=list)

    def add(self, name, *values):
        self.rows.append((name, values))

    def samples(self, name, samples, *more):
        self.add(name, median(samples), min(samples, default=math.nan), max(samples, default=math.nan), *more)

    def __str__(self):
        width = max([len(self.title), *(len(name) + 2 for name, _ in self.rows)])
        shown = [[number(v) for v in values] for _, values in self.rows]
        columns = [max(11, len(c), *(len(row[i]) for row in shown if i < len(row))) + 2 for i, c in enumerate(self.columns)]
        lines = [self.title.ljust(width) + "".join(c.rjust(w) for c, w in zip(self.columns, columns))]
        for (name, _), row in zip(self.rows, shown):
            lines.append(f"  {name}".ljust(width) + "".join(text.rjust(w) for text, w in zip(row, columns)))
        return "\n".join(lines)

    def as_json(self):
        rows = [{"name": name, **{c: plain(v) for c, v in zip(self.columns, values)}} for name, values in self.rows]
        return {"title": self.title, "rows": rows}


SPREAD = ["median", "lowest", "highest"]


@dataclass
class Report:
    """Everything one section has to say."""

    title: str
    tables: list = field(default_factory=list)
    goals: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    failed: bool = False

    def table(self, title, *columns):
        self.tables.append(Table(title, list(columns)))
        return self.tables[-1]

    def goal(self, *arguments):
        self.goals.append(Goal(*arguments))

    def note(self, text):
        self.notes.append(text)

    def __str__(self):
        parts = [f"=== {self.title}", *self.notes, *("\n" + str(t) for t in self.tables)]
        if self.goals:
            parts += [""] + [f"  {goal}" for goal in self.goals]
        return "\n".join(parts) + "\n"

    def as_json(self):
        return {"title": self.title, "failed": self.failed, "notes": self.notes, "tables": [t.as_json() for t in self.tables],
                "wanted": [g.as_json() for g in self.goals]}


def number(value):
    if isinstance(value, str):
        return value
    if value is None or math.isnan(value):
        return "-"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 0.1 or not value else f"{value:.4f}"


def plain(value):
    """JSON knows no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
