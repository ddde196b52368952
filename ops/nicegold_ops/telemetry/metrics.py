"""Every metric there is: its name, what it means and its labels, in one place.

Prometheus's conventions: base units, `_total` on what only rises, the time of an event and never
its age (an age freezes with the process), labels only from sets that are bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec
from prometheus_client import Metric as Family
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

#: Label values of one child, in the order of the metric's labels.
Labels = tuple[str, ...]
#: Of a histogram: labels, each bound with how many values were at most that, and the sum of the values.
Child = tuple[Labels, list[tuple[str, float]], float]


class Metric(msgspec.Struct, frozen=True):
    """A name that dashboards and alerts may rely on."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Labels = ()

    def family(self, samples: Iterable[tuple[Labels, float]]) -> Family:
        """The metric with its children, for a counter or a gauge."""
        kind = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = kind(self.name, self.help, labels=self.labels)
        for labels, value in samples:
            family.add_metric(labels, value)
        return family

    def histogram(self, children: Iterable[Child] = ()) -> HistogramMetricFamily:
        """The metric with its children, for a histogram."""
        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        for labels, buckets, total in children:
            family.add_metric(labels, buckets, total)
        return family


# Hooks and plugins.

HOOK_CALLS = Metric(
    "nicegold_hook_calls_total",
    "counter",
    "Calls of each plugin's implementation of each hook; outcome is success, vetoed or error.",
    ("hook", "plugin", "plugin_kind", "outcome"),
)
HOOK_DURATION = Metric(
    "nicegold_hook_duration_seconds", "histogram", "How long these calls took.", ("hook", "plugin")
)
HOOK_LAST_SUCCESS = Metric(
    "nicegold_hook_last_success_timestamp_seconds",
    "gauge",
    "When the newest call that succeeded ended; 0 before the first.",
    ("hook", "plugin"),
)
PLUGIN_FAILURES = Metric(
    "nicegold_plugin_failures_total",
    "counter",
    "Calls that raised, exited or answered what their hook does not allow, as the engine told them.",
    ("hook", "plugin"),
)
PLUGIN_INFO = Metric(
    "nicegold_plugin_info",
    "gauge",
    "1 for each plugin that runs; version is that of the distribution that brought it.",
    ("plugin", "plugin_kind", "version"),
)

# The engine.

ENGINE_STATE = Metric(
    "nicegold_engine_state",
    "gauge",
    "1 for the state the engine is in (starting, running, halted, finished), 0 for the others.",
    ("state",),
)
ENGINE_LAST_TICK = Metric(
    "nicegold_engine_last_tick_timestamp_seconds",
    "gauge",
    "When the newest call on the trading thread ended: completed work; 0 before the first.",
)
ENGINE_EVENTS = Metric(
    "nicegold_engine_events_total", "counter", "Events that the engine has told, by their name.", ("event",)
)
ENGINE_QUEUE_DEPTH = Metric(
    "nicegold_engine_queue_depth", "gauge", "What waits in a queue on its way to the engine.", ("queue",)
)
ENGINE_PATIENCE = Metric(
    "nicegold_engine_patience_seconds",
    "gauge",
    "How long no work may be completed before /healthz says that the engine is stale.",
)
HEARTBEAT = Metric(
    "nicegold_heartbeat_timestamp_seconds",
    "gauge",
    "When a component last completed a piece of its work.",
    ("component",),
)
BUILD_INFO = Metric(
    "nicegold_build_info", "gauge", "1; which nicegold and which Python run.", ("version", "python_version")
)

# Feeds.

FEED_MESSAGES = Metric(
    "nicegold_feed_messages_total", "counter", "Bars and quotes that a feed has delivered.", ("feed", "kind")
)
FEED_LAST_MESSAGE = Metric(
    "nicegold_feed_last_message_timestamp_seconds",
    "gauge",
    "When a feed last delivered, by our clock; 0 before the first.",
    ("feed",),
)
FEED_REJECTED = Metric(
    "nicegold_feed_rejected_values_total",
    "counter",
    "Market data that cannot be right, by the kind of defect; refused is what the engine would not take.",
    ("feed", "reason"),
)
FEED_INTERVAL = Metric(
    "nicegold_feed_expected_interval_seconds",
    "gauge",
    "How far apart the messages of a live feed should be while the market is open: its bars' length, or 20 s "
    "where it has none. Of recorded prices there is none, they come as they are read.",
    ("feed",),
)
MARKET_OPEN = Metric(
    "nicegold_market_open",
    "gauge",
    "1 while an instrument trades, 0 while it does not: by our clock, or that of recorded prices.",
    ("symbol",),
)
MARKET_OPEN_SINCE = Metric(
    "nicegold_market_open_since_timestamp_seconds",
    "gauge",
    "When the market opened, or the run began if that was later; 0 while it is closed.",
    ("symbol",),
)

# Orders.

ORDERS = Metric(
    "nicegold_orders_total",
    "counter",
    "Orders that came into each state, by FIX's names; vetoed is one that never left.",
    ("broker", "strategy", "order_type", "status"),
)
ORDER_REJECTS = Metric(
    "nicegold_order_rejects_total",
    "counter",
    "Objections to orders and refusals of them. Of a veto, source is risk or engine and reason is who "
    "objected, once for each; of a venue's refusal, source is broker.",
    ("source", "reason"),
)
ORDERS_OPEN = Metric("nicegold_orders_open", "gauge", "Orders that may still fill.")
ORDERS_UNKNOWN = Metric(
    "nicegold_orders_unknown_state", "gauge", "Orders of which nobody can say whether the venue has them."
)
ORDER_UNACKED_OLDEST = Metric(
    "nicegold_order_unacked_oldest_timestamp_seconds",
    "gauge",
    "When the order was first seen, at a scrape, that waits longest for the venue's first answer; 0: none.",
)
ORDER_ACK_DURATION = Metric(
    "nicegold_order_ack_duration_seconds",
    "histogram",
    "From the market data that an order was decided at to its acceptance, by the times that both bear: those "
    "of the feed and the venue. Orders that came into doubt are not in it.",
    ("broker",),
)
ORDER_SLIPPAGE = Metric(
    "nicegold_order_slippage_ratio",
    "histogram",
    "How much worse than the price it asked for an order filled, as a part of that; negative is better. Of "
    "orders that ask for one: a stop's is its trigger, a market order has none.",
    ("strategy", "order_type"),
)

# Reconciliation.

RECONCILIATION_RUNS = Metric(
    "nicegold_reconciliation_runs_total",
    "counter",
    "How often a venue was asked for what it believes; outcome is answered or failed.",
    ("broker", "outcome"),
)
RECONCILIATION_LAST_SUCCESS = Metric(
    "nicegold_reconciliation_last_success_timestamp_seconds",
    "gauge",
    "When a venue last answered with a statement; 0 before the first.",
    ("broker",),
)
RECONCILIATION_AGREED = Metric(
    "nicegold_reconciliation_agreed",
    "gauge",
    "1 while our books and the venue's agree, 0 until they have been found to: nothing new is sent before.",
    ("broker",),
)
RECONCILIATION_BREAKS = Metric(
    "nicegold_reconciliation_breaks",
    "gauge",
    "Differences between our books and the venue's that nothing explains.",
    ("broker", "kind"),
)

# Risk.

RISK_CHECKS = Metric(
    "nicegold_risk_checks_total",
    "counter",
    "Questions put to each risk rule: outcome is success (no objection), vetoed or error (an objection too).",
    ("rule", "outcome"),
)
EQUITY = Metric(
    "nicegold_equity", "gauge", "Cash and unrealized profit at the last prices, in currency.", ("currency",)
)
DRAWDOWN = Metric(
    "nicegold_drawdown_ratio",
    "gauge",
    "How far equity is below its highest at any scrape, as a part of that.",
)
MARGIN_USAGE = Metric(
    "nicegold_margin_usage_ratio", "gauge", "Margin that open positions hold back, as a part of equity."
)
POSITION = Metric(
    "nicegold_position_lots", "gauge", "Net position in lots, negative when short.", ("symbol",)
)

# Secrets.

VAULT_TOKEN_EXPIRY = Metric(
    "nicegold_vault_token_expiry_timestamp_seconds",
    "gauge",
    "When our token of Vault ends unless it is renewed; nothing while there is none, or if it never does.",
)
VAULT_TOKEN_TTL = Metric(
    "nicegold_vault_token_ttl_seconds",
    "gauge",
    "For how long Vault last lent us this token; it is renewed when about two thirds of that are over.",
)
VAULT_LEASE_EXPIRY = Metric(
    "nicegold_vault_lease_expiry_timestamp_seconds",
    "gauge",
    "When what an engine of Vault has made for a role ends unless it is renewed.",
    ("engine", "role"),
)
VAULT_LEASE_TTL = Metric(
    "nicegold_vault_lease_ttl_seconds",
    "gauge",
    "For how long Vault last lent it.",
    ("engine", "role"),
)
VAULT_RENEWALS = Metric(
    "nicegold_vault_renewals_total",
    "counter",
    "Logins, and tokens and leases that came due; kind is login, token or lease, outcome success or failure.",
    ("kind", "outcome"),
)
SECRET_CREATED = Metric(
    "nicegold_secret_created_timestamp_seconds",
    "gauge",
    "When the version of a secret that we use was put into Vault, by its reference.",
    ("name",),
)

# The audit trail.

AUDIT_OUTBOX = Metric(
    "nicegold_audit_outbox_records",
    "gauge",
    "Events that have not arrived where the audit trail is copied to.",
)
AUDIT_OUTBOX_OLDEST = Metric(
    "nicegold_audit_outbox_oldest_timestamp_seconds",
    "gauge",
    "When the oldest of these was put on record; 0 where there is none.",
)
AUDIT_SHIP = Metric(
    "nicegold_audit_ship_total",
    "counter",
    "Documents by what became of them: created, duplicate (they were there) or rejected (as they are; they "
    "are kept and sent again). Retried counts requests that were not answered or came too early.",
    ("sink", "result"),
)
AUDIT_CHECKPOINT = Metric(
    "nicegold_audit_checkpoint_timestamp_seconds",
    "gauge",
    "When the newest checkpoint was signed; 0 before the first. Nothing is signed while nothing is new.",
)
AUDIT_CHECKPOINT_INTERVAL = Metric(
    "nicegold_audit_checkpoint_interval_seconds",
    "gauge",
    "How far apart two looks are at whether something is to be signed.",
)

# What a person is told, and what is recorded.

NOTIFICATIONS = Metric(
    "nicegold_notifications_total",
    "counter",
    "Alerts that were handed to the notifiers; outcome is delivered, or failed where one of them could not.",
    ("severity", "outcome"),
)
NOTIFICATION_LATENCY = Metric(
    "nicegold_notification_latency_seconds",
    "histogram",
    "From when an alert was raised to when all notifiers had been told.",
    ("severity",),
)
NOTIFICATIONS_WAITING = Metric(
    "nicegold_notifications_waiting", "gauge", "Alerts that wait for the notifiers."
)
NOTIFICATIONS_DROPPED = Metric(
    "nicegold_notifications_dropped_total", "counter", "Alerts that nobody was told, as too many waited."
)
JOURNAL_FAILURES = Metric(
    "nicegold_journal_failures_total",
    "counter",
    "Whether the journal could not be written: 1 from then to the end of the process, which is near.",
)

# Telemetry itself.

TELEMETRY_ERRORS = Metric(
    "nicegold_telemetry_errors_total",
    "counter",
    "Failures of the watching itself, which never reach what is watched.",
    ("signal",),
)
TELEMETRY_DROPPED = Metric(
    "nicegold_telemetry_dropped_total",
    "counter",
    "What telemetry was told and did not keep.",
    ("signal", "reason"),
)

TELEMETRY_EXPORTED = Metric(
    "nicegold_telemetry_exported_total",
    "counter",
    "What arrived where telemetry is sent: spans in the trace store, errors at Sentry.",
    ("signal",),
)

# The process, as the kernel sees it: prometheus_client asks, on Linux alone.

PROCESS = (
    Metric("process_cpu_seconds_total", "counter", "Processor time, user and system."),
    Metric("process_resident_memory_bytes", "gauge", "Memory that it has in use."),
    Metric("process_virtual_memory_bytes", "gauge", "Memory that it has addresses for."),
    Metric("process_start_time_seconds", "gauge", "When it began."),
    Metric("process_open_fds", "gauge", "Files and connections that it has open."),
    Metric("process_max_fds", "gauge", "How many it may have open."),
)

METRICS = (
    *(each for each in list(globals().values()) if isinstance(each, Metric)),
    *PROCESS,
)
