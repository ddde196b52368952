"""What is asked of a running nicegold, and the queries that answer.

A panel's title is a question, its advice says what to do about the answer. In a query `@` stands for the
sessions that are looked at, `$__rate_interval` for what Grafana finds fit.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """A question. *queries* has the legend of each query.

    *limits* are one or two: from the last on it is red; below the first, if *less_is_worse*. *may_be_empty*
    says why there may be nothing to show, and is shown then.
    """

    title: str
    advice: str
    queries: dict[str, str]
    unit: str = "short"
    width: int = 8
    shape: Literal["lines", "number", "states"] = "lines"
    limits: tuple[float, ...] = ()
    less_is_worse: bool = False
    one_is_bad: bool = False
    stacked: bool = False
    signed: bool = False
    may_be_empty: str = ""


class Board(msgspec.Struct, frozen=True):
    """A dashboard: the question that it is about, and its panels by row."""

    uid: str
    title: str
    question: str
    rows: dict[str, list[Panel]]


_LIVE_ONLY = "only a live feed has one"
_ASKED_ONLY = "no broker here can be asked what its venue believes"
_NO_WORK = "nicegold work does not run, or its configuration has no such table"
_NO_VAULT = "nothing is lent by a Vault, or nothing of the kind"
_NO_EXPORT = "there is no table [traces] or [errors]"
#: Why there may be nothing where only what is beside trading would tell it.
BESIDE = frozenset({_NO_WORK, _NO_VAULT, _NO_EXPORT})

TRADING = Board(
    "nicegold-trading",
    "nicegold: trading",
    "Does it trade, and what came of it?",
    {
        "Now": [
            Panel(
                title="Which alerts fire?",
                advice="Each has a runbook: open it from the alert. Watchdog always fires; if it is missing, "
                "nobody would hear of the others.",
                queries={'ALERTS{alertstate="firing", service="nicegold"}': "{{alertname}} {{instance}}"},
                shape="states",
                one_is_bad=True,
                width=12,
            ),
            Panel(
                title="What state is the engine in?",
                advice="halted: no new risk is taken until a person says so. See the runbook of "
                "NicegoldEngineHalted.",
                queries={"nicegold_engine_state{@}": "{{state}} {{instance}}"},
                shape="states",
                width=12,
            ),
            Panel(
                title="How long ago did the engine complete work?",
                advice="Red is where /healthz says that it is stale. While the market is closed this rises and is "
                "no fault.",
                queries={"time() - nicegold_engine_last_tick_timestamp_seconds{@}": "{{instance}}"},
                unit="s",
                shape="number",
                limits=(20, 60),
                width=6,
            ),
            Panel(
                title="Which markets are open?",
                advice="By the instruments' sessions, which know no holidays. Silence in an open market is what "
                "NicegoldFeedStale is about.",
                queries={"nicegold_market_open{@}": "{{symbol}}"},
                shape="states",
                width=10,
            ),
            Panel(
                title="How many messages wait for the engine?",
                advice="Above 0 for long it does not keep up: look for the slow plugin in hooks and plugins.",
                queries={'nicegold_engine_queue_depth{@, queue="inbox"}': "{{instance}}"},
                shape="number",
                limits=(1000, 5000),
                width=8,
            ),
        ],
        "What came of it": [
            Panel(
                title="What is the account worth?",
                advice="Cash and unrealized profit at the last prices. Where it falls, see what is held beside it.",
                queries={"nicegold_equity{@}": "{{currency}} {{instance}}"},
                signed=True,
            ),
            Panel(
                title="What do we hold?",
                advice="Lots, negative when short. Compare it with the venue's own screen when in doubt.",
                queries={"nicegold_position_lots{@}": "{{symbol}} {{instance}}"},
                signed=True,
            ),
            Panel(
                title="How far is it below its highest?",
                advice="From the highest that was seen at a scrape. What halts at which drawdown says the "
                "configuration.",
                queries={"nicegold_drawdown_ratio{@}": "{{instance}}"},
                unit="percentunit",
            ),
            Panel(
                title="How many prices does it handle?",
                advice="None in an open market: see feeds.",
                queries={
                    'sum by (event) (rate(nicegold_engine_events_total{@, event=~"Bar|Quote"}[$__rate_interval]))': (
                        "{{event}}"
                    )
                },
                unit="ops",
            ),
            Panel(
                title="What else happens?",
                advice="Events by their name. Vetoed, Rejected, Unknown, Break and PluginFailed are worth a look.",
                queries={
                    "sum by (event) (increase(nicegold_engine_events_total"
                    '{@, event!~"Bar|Quote"}[$__rate_interval]))': "{{event}}"
                },
            ),
            Panel(
                title="Which build runs?",
                advice="A live session runs what was approved. Two builds side by side are two machines to look at.",
                queries={"nicegold_build_info{@}": "{{version}}, Python {{python_version}}, {{instance}}"},
                shape="states",
            ),
        ],
    },
)

HOOKS = Board(
    "nicegold-hooks",
    "nicegold: hooks and plugins",
    "Which plugin fails, and which is slow?",
    {
        "Failures": [
            Panel(
                title="Which plugins fail?",
                advice="Calls a second that raised, exited or answered nonsense. Above 0: see NicegoldPluginFailing.",
                queries={
                    "sum by (plugin, hook) (rate(nicegold_hook_calls_total"
                    '{@, outcome="error"}[$__rate_interval]))': "{{plugin}}.{{hook}}"
                },
                unit="ops",
                width=12,
            ),
            Panel(
                title="What did the engine say of them?",
                advice="Failures that it told, which includes streams that died and notifiers.",
                queries={
                    "sum by (plugin, hook) (increase(nicegold_plugin_failures_total{@}[$__rate_interval]))": (
                        "{{plugin}}.{{hook}}"
                    )
                },
                width=12,
            ),
            Panel(
                title="How long ago did each plugin succeed?",
                advice="One that stays behind the others is asked and fails, or is not asked any more.",
                queries={
                    "time() - (nicegold_hook_last_success_timestamp_seconds{@} > 0)": "{{plugin}}.{{hook}}"
                },
                unit="s",
                width=12,
            ),
            Panel(
                title="Which plugins run, in which version?",
                advice="Compare it after a deployment with what was meant.",
                queries={"nicegold_plugin_info{@}": "{{plugin}}: {{plugin_kind}} {{version}}"},
                shape="states",
                width=12,
            ),
        ],
        "Time": [
            Panel(
                title="Where does the time go?",
                advice="Seconds a second: 1 is all of a thread. The largest on the trading thread is what to make "
                "faster.",
                queries={
                    "sum by (plugin, hook) (rate(nicegold_hook_duration_seconds_sum{@}[$__rate_interval]))": (
                        "{{plugin}}.{{hook}}"
                    )
                },
                unit="percentunit",
                stacked=True,
                width=12,
            ),
            Panel(
                title="How slow are the slowest calls?",
                advice="99 of 100 calls took at most this. A venue's place_order is its round trip.",
                queries={
                    "histogram_quantile(0.99, sum by (plugin, hook, le) "
                    "(rate(nicegold_hook_duration_seconds_bucket{@}[$__rate_interval])))": "{{plugin}}.{{hook}}"
                },
                unit="s",
                width=12,
            ),
            Panel(
                title="How often is each hook called?",
                advice="Falls to 0 where nobody asks: no prices, no orders.",
                queries={"sum by (hook) (rate(nicegold_hook_calls_total{@}[$__rate_interval]))": "{{hook}}"},
                unit="ops",
                width=24,
            ),
        ],
    },
)

ORDERS = Board(
    "nicegold-orders",
    "nicegold: orders and execution",
    "What becomes of orders, and do our books agree with the venue's?",
    {
        "Orders": [
            Panel(
                title="How many orders are in doubt?",
                advice="Nobody can say whether the venue has them. See NicegoldOrderStateUnknown; never send one "
                "again by hand.",
                queries={"nicegold_orders_unknown_state{@}": "{{instance}}"},
                shape="number",
                limits=(1,),
                width=6,
            ),
            Panel(
                title="How many orders work?",
                advice="Orders that may still fill, at the venue and here.",
                queries={"nicegold_orders_open{@}": "{{instance}}"},
                shape="number",
                width=6,
            ),
            Panel(
                title="What share is refused by the venue?",
                advice="Of the orders that left in the time shown. Above 0: see NicegoldOrdersRejected.",
                queries={
                    'sum by (instance) (increase(nicegold_orders_total{@, status="rejected"}[$__range])) / '
                    'sum by (instance) (increase(nicegold_orders_total{@, status="pending_new"}[$__range]))': (
                        "{{instance}}"
                    )
                },
                unit="percentunit",
                shape="number",
                limits=(0.01, 0.05),
                width=6,
            ),
            Panel(
                title="What share filled?",
                advice="Of the orders that left in the time shown, those that were filled to the end.",
                queries={
                    'sum by (instance) (increase(nicegold_orders_total{@, status="filled"}[$__range])) / '
                    'sum by (instance) (increase(nicegold_orders_total{@, status="pending_new"}[$__range]))': (
                        "{{instance}}"
                    )
                },
                unit="percentunit",
                shape="number",
                width=6,
            ),
            Panel(
                title="What becomes of orders?",
                advice="Orders that came into each state. Many vetoed: see risk. Unknown and rejected should be 0.",
                queries={
                    "sum by (status) (increase(nicegold_orders_total{@}[$__rate_interval]))": "{{status}}"
                },
                stacked=True,
                width=12,
            ),
            Panel(
                title="Whose orders are they?",
                advice="Orders that left, by strategy. More than a strategy should send: stop it.",
                queries={
                    "sum by (strategy, order_type) (increase(nicegold_orders_total"
                    '{@, status="pending_new"}[$__rate_interval]))': "{{strategy}} {{order_type}}"
                },
                width=12,
            ),
        ],
        "Quality of execution": [
            Panel(
                title="How long until an order is accepted?",
                advice="From the price it was decided at to the venue's answer, by the times that both bear. The "
                "objective is half a second for 99 of 100.",
                queries={
                    f"histogram_quantile({share}, sum by (broker, le) "
                    "(rate(nicegold_order_ack_duration_seconds_bucket{@}[$__rate_interval])))": f"{{{{broker}}}} {name}"
                    for share, name in ((0.5, "median"), (0.99, "99 of 100"))
                },
                unit="s",
                limits=(0.5,),
                width=12,
            ),
            Panel(
                title="How long has an order had no answer?",
                advice="The one that waits longest for the venue's first word. From half a minute on see NicegoldOrderUnacked.",
                queries={"time() - (nicegold_order_unacked_oldest_timestamp_seconds{@} > 0)": "{{instance}}"},
                unit="s",
                limits=(10, 30),
                width=12,
                may_be_empty="no order waits for an answer",
            ),
            Panel(
                title="How long does the broker take to send one?",
                advice="The call of place_order: what our side and the way there cost.",
                queries={
                    "histogram_quantile(0.99, sum by (plugin, le) (rate(nicegold_hook_duration_seconds_bucket"
                    '{@, hook="place_order"}[$__rate_interval])))': "{{plugin}} 99 of 100"
                },
                unit="s",
                width=12,
            ),
            Panel(
                title="How much worse than asked do orders fill?",
                advice="Limits, stops and stop-limits, as a part of the price; negative is better. A stop that slips "
                "more than its strategy was tested with loses what the test won.",
                queries={
                    f"histogram_quantile({share}, sum by (strategy, order_type, le) "
                    "(rate(nicegold_order_slippage_ratio_bucket{@}[$__rate_interval])))": (
                        f"{{{{strategy}}}} {{{{order_type}}}} {name}"
                    )
                    for share, name in ((0.5, "median"), (0.9, "9 of 10"))
                },
                unit="percentunit",
                signed=True,
                width=12,
                may_be_empty="no order that asked for a price has filled",
            ),
        ],
        "Books": [
            Panel(
                title="Do our books and the venue's agree?",
                advice="While they do not, nothing new is sent. See NicegoldBooksNotAgreed.",
                queries={"nicegold_reconciliation_agreed{@}": "{{broker}} {{instance}}"},
                shape="states",
                may_be_empty=_ASKED_ONLY,
            ),
            Panel(
                title="In what do they differ?",
                advice="Differences that nothing explains. See NicegoldReconciliationBreak; for clock, "
                "NicegoldClockSkew.",
                queries={"nicegold_reconciliation_breaks{@}": "{{broker}} {{kind}}"},
                limits=(1,),
                may_be_empty=_ASKED_ONLY,
            ),
            Panel(
                title="How long ago did the venue answer?",
                advice="It is asked every ten seconds; above a minute see NicegoldReconciliationStale.",
                queries={
                    "time() - (nicegold_reconciliation_last_success_timestamp_seconds{@} > 0)": "{{broker}}"
                },
                unit="s",
                limits=(30, 60),
                may_be_empty=_ASKED_ONLY,
            ),
            Panel(
                title="Does it answer when it is asked?",
                advice="failed: the notifier has the error. Neither: the call hangs, see `nicegold blackbox`.",
                queries={
                    "sum by (broker, outcome) (rate(nicegold_reconciliation_runs_total{@}[$__rate_interval]))": (
                        "{{broker}} {{outcome}}"
                    )
                },
                unit="ops",
                width=24,
                may_be_empty=_ASKED_ONLY,
            ),
        ],
    },
)

RISK = Board(
    "nicegold-risk",
    "nicegold: risk",
    "What is at stake, and what do the checks say?",
    {
        "At stake": [
            Panel(
                title="How much of the equity do positions hold back?",
                advice="From 80 % on reduce, at 100 % the venue may close positions.",
                queries={"nicegold_margin_usage_ratio{@}": "{{instance}}"},
                unit="percentunit",
                limits=(0.8, 1.0),
            ),
            Panel(
                title="How much of the highest equity is lost?",
                advice="max_drawdown and daily_loss halt at their limits, which are in the configuration.",
                queries={"nicegold_drawdown_ratio{@}": "{{instance}}"},
                unit="percentunit",
            ),
            Panel(
                title="How large are positions?",
                advice="Lots without their sign. max_position bounds them.",
                queries={"abs(nicegold_position_lots{@})": "{{symbol}}"},
            ),
        ],
        "Checks": [
            Panel(
                title="Who objects?",
                advice="Objections by who made them. engine: it is halted, or books do not agree.",
                queries={
                    "sum by (source, reason) (increase(nicegold_order_rejects_total"
                    '{@, source=~"risk|engine"}[$__rate_interval]))': "{{source}} {{reason}}"
                },
                stacked=True,
            ),
            Panel(
                title="What share of each strategy's orders is vetoed?",
                advice="Near 100 %: the strategy or a limit is wrong. See NicegoldOrdersVetoed.",
                queries={
                    'sum by (strategy) (rate(nicegold_orders_total{@, status="vetoed"}[$__rate_interval])) / '
                    'sum by (strategy) (rate(nicegold_orders_total{@, status=~"vetoed|pending_new"}'
                    "[$__rate_interval]))": "{{strategy}}"
                },
                unit="percentunit",
                limits=(0.5, 0.9),
            ),
            Panel(
                title="Do the checks work?",
                advice="A check that fails objects to everything. Above 0: see NicegoldRiskCheckFailing.",
                queries={
                    "sum by (rule) (increase(nicegold_risk_checks_total"
                    '{@, outcome="error"}[$__rate_interval]))': "{{rule}}"
                },
                limits=(1,),
            ),
            Panel(
                title="How often is each check asked?",
                advice="All are asked about each order. One that is not asked is not enabled: `nicegold check`.",
                queries={"sum by (rule) (rate(nicegold_risk_checks_total{@}[$__rate_interval]))": "{{rule}}"},
                unit="ops",
                width=12,
            ),
            Panel(
                title="How long do checks take?",
                advice="99 of 100. An order waits for all of them.",
                queries={
                    "histogram_quantile(0.99, sum by (plugin, le) (rate(nicegold_hook_duration_seconds_bucket"
                    '{@, hook=~"check_.*"}[$__rate_interval])))': "{{plugin}}"
                },
                unit="s",
                width=12,
            ),
        ],
    },
)

FEEDS = Board(
    "nicegold-feeds",
    "nicegold: feeds and data",
    "Do prices come, and can they be believed?",
    {
        "Silence": [
            Panel(
                title="Is the market open?",
                advice="By the instruments' sessions; a feed may be silent while it is closed.",
                queries={"nicegold_market_open{@}": "{{symbol}}"},
                shape="states",
            ),
            Panel(
                title="How long ago did each feed deliver?",
                advice="Longer than three times what it should take, in an open market: see NicegoldFeedStale.",
                queries={
                    "time() - (nicegold_feed_last_message_timestamp_seconds{@} > 0)": "{{feed}} {{instance}}"
                },
                unit="s",
            ),
            Panel(
                title="Which feeds are stale?",
                advice="Those that NicegoldFeedStale is about: 1 for three intervals of silence in an open market.",
                queries={"nicegold:feed_stale{@}": "{{feed}} {{instance}}"},
                shape="states",
                one_is_bad=True,
                may_be_empty=_LIVE_ONLY,
            ),
            Panel(
                title="How far apart should messages be?",
                advice="Its bars' length, or 20 s. Recorded prices come as they are read.",
                queries={"nicegold_feed_expected_interval_seconds{@}": "{{feed}}"},
                unit="s",
                may_be_empty=_LIVE_ONLY,
                width=12,
            ),
            Panel(
                title="How long has the market been open?",
                advice="In this run. 0 when it is closed: then silence is right.",
                queries={
                    "(time() - (nicegold_market_open_since_timestamp_seconds{@} > 0)) "
                    "or (nicegold_market_open_since_timestamp_seconds{@} * 0)": "{{symbol}}"
                },
                unit="s",
                width=12,
            ),
        ],
        "Quality": [
            Panel(
                title="How much does each feed deliver?",
                advice="Bars and quotes a second. Less than yesterday at this hour: ask the source.",
                queries={
                    "sum by (feed, kind) (rate(nicegold_feed_messages_total{@}[$__rate_interval]))": "{{feed}} {{kind}}"
                },
                unit="ops",
                width=12,
            ),
            Panel(
                title="What was wrong with what was set aside?",
                advice="Messages that cannot be right, by reason. See NicegoldFeedDataRejected.",
                queries={
                    "sum by (feed, reason) (increase(nicegold_feed_rejected_values_total{@}[$__rate_interval]))": (
                        "{{feed}} {{reason}}"
                    )
                },
                stacked=True,
                width=12,
            ),
        ],
    },
)

PLATFORM = Board(
    "nicegold-platform",
    "nicegold: platform",
    "Is the process well, and would a person hear of it if not?",
    {
        "Process": [
            Panel(
                title="Does it answer?",
                advice="no: see NicegoldDown.",
                queries={'up{job="nicegold", @}': "{{instance}}"},
                shape="states",
                width=6,
            ),
            Panel(
                title="How long has it run?",
                advice="Short, again and again: see NicegoldRestarting.",
                queries={'time() - process_start_time_seconds{job="nicegold", @}': "{{instance}}"},
                unit="s",
                shape="number",
                width=6,
            ),
            Panel(
                title="Could the journal be written?",
                advice="1: it could not, and the process ends. See NicegoldJournalFailed.",
                queries={"nicegold_journal_failures_total{@}": "{{instance}}"},
                shape="number",
                limits=(1,),
                width=6,
            ),
            Panel(
                title="How long ago did each component work?",
                advice="engine is the trading thread's last price; shipper and notary are of nicegold work.",
                queries={"time() - nicegold_heartbeat_timestamp_seconds{@}": "{{component}}"},
                unit="s",
                shape="number",
                limits=(20, 60),
                width=6,
            ),
            Panel(
                title="How much of a processor does it use?",
                advice="1 is all of one. The trading thread is one.",
                queries={
                    'rate(process_cpu_seconds_total{job="nicegold", @}[$__rate_interval])': "{{instance}}"
                },
                unit="percentunit",
            ),
            Panel(
                title="How much memory does it use?",
                advice="Rises for hours: a plugin keeps what it sees.",
                queries={'process_resident_memory_bytes{job="nicegold", @}': "{{instance}}"},
                unit="bytes",
            ),
            Panel(
                title="How many files has it open?",
                advice="Of those that it may. Near 100 % see NicegoldFilesExhausted.",
                queries={
                    'process_open_fds{job="nicegold", @} / process_max_fds{job="nicegold", @}': "{{instance}}"
                },
                unit="percentunit",
                limits=(0.5, 0.8),
            ),
        ],
        "Vault": [
            Panel(
                title="How much of what Vault lends is left?",
                advice="As a part of what was lent. It is renewed when a third is left; below a quarter see "
                "NicegoldVaultTokenExpiring and NicegoldVaultLeaseExpiring. At 0 a session takes no new risk.",
                queries={
                    "(nicegold_vault_token_expiry_timestamp_seconds{@} - time()) / nicegold_vault_token_ttl_seconds{@}": (
                        "token {{instance}}"
                    ),
                    "(nicegold_vault_lease_expiry_timestamp_seconds{@} - time()) / nicegold_vault_lease_ttl_seconds{@}": (
                        "{{engine}}/{{role}} {{instance}}"
                    ),
                },
                unit="percentunit",
                limits=(0.25,),
                less_is_worse=True,
                may_be_empty=_NO_VAULT,
            ),
            Panel(
                title="Does Vault renew what it has lent?",
                advice="Logins, tokens and leases that came due. failure: see NicegoldVaultRenewalFailing.",
                queries={
                    "sum by (kind, outcome) (increase(nicegold_vault_renewals_total{@}[$__rate_interval]))": (
                        "{{kind}} {{outcome}}"
                    )
                },
                may_be_empty=_NO_VAULT,
            ),
            Panel(
                title="How old is each secret?",
                advice="Since its version was put into Vault. Change it there before it is older than your rules say; "
                "the next start reads it.",
                queries={"time() - nicegold_secret_created_timestamp_seconds{@}": "{{name}}"},
                unit="s",
                may_be_empty=_NO_VAULT,
            ),
        ],
        "What a person is told": [
            Panel(
                title="What became of alerts?",
                advice="failed: a notifier could not. See NicegoldNotifierFailing.",
                queries={
                    "sum by (severity, outcome) (increase(nicegold_notifications_total{@}[$__rate_interval]))": (
                        "{{severity}} {{outcome}}"
                    )
                },
            ),
            Panel(
                title="How long until a person was told?",
                advice="99 of 100, from when it happened. The objective is five seconds.",
                queries={
                    "histogram_quantile(0.99, sum by (severity, le) "
                    "(rate(nicegold_notification_latency_seconds_bucket{@}[$__rate_interval])))": "{{severity}}"
                },
                unit="s",
                limits=(5,),
            ),
            Panel(
                title="How many alerts wait, and how many were dropped?",
                advice="Waiting for long: a notifier hangs. See NicegoldNotificationsStuck.",
                queries={
                    "nicegold_notifications_waiting{@}": "waiting {{instance}}",
                    "increase(nicegold_notifications_dropped_total{@}[$__rate_interval])": "dropped {{instance}}",
                },
            ),
        ],
        "Telemetry itself": [
            Panel(
                title="Is anything lost on the way here?",
                advice="By signal: see NicegoldTelemetryDropping; for call overwritten, NicegoldCallsOverwritten. Of one "
                "error one a minute is sent, so error rate_limited is no fault.",
                queries={
                    "sum by (signal, reason) (increase(nicegold_telemetry_dropped_total{@}[$__rate_interval]))": (
                        "{{signal}} {{reason}}"
                    )
                },
            ),
            Panel(
                title="How much arrives elsewhere?",
                advice="Spans in the trace store, errors where they are sent. None for long, and something is lost beside "
                "it: nicegold doctor asks the trace store.",
                queries={
                    "sum by (signal) (increase(nicegold_telemetry_exported_total{@}[$__rate_interval]))": "{{signal}}"
                },
                may_be_empty=_NO_EXPORT,
            ),
            Panel(
                title="Does the watching fail?",
                advice="Above 0 is a defect of nicegold: keep the log. Trading is not affected.",
                queries={
                    "sum by (signal) (increase(nicegold_telemetry_errors_total{@}[$__rate_interval]))": "{{signal}}"
                },
            ),
        ],
    },
)

DELIVERY = Board(
    "nicegold-delivery",
    "nicegold: delivery",
    "Is the audit trail signed, and does it arrive where it is copied to?",
    {
        "The copy": [
            Panel(
                title="Does nicegold work answer?",
                advice="no: see NicegoldWorkDown. The journal keeps what waits.",
                queries={'up{job="nicegold-work", @}': "{{instance}}"},
                shape="states",
                width=6,
                may_be_empty=_NO_WORK,
            ),
            Panel(
                title="How many events have not arrived?",
                advice="Falls while it catches up. Rises for long: see NicegoldAuditOutboxBacklog.",
                queries={"nicegold_audit_outbox_records{@}": "{{instance}}"},
                shape="number",
                width=6,
                may_be_empty=_NO_WORK,
            ),
            Panel(
                title="How long has the oldest of them waited?",
                advice="0 when none waits. From a minute on see NicegoldAuditOutboxBacklog.",
                queries={
                    "(time() - (nicegold_audit_outbox_oldest_timestamp_seconds{@} > 0)) "
                    "or (nicegold_audit_outbox_oldest_timestamp_seconds{@} * 0)": "{{instance}}"
                },
                unit="s",
                shape="number",
                limits=(10, 60),
                width=6,
                may_be_empty=_NO_WORK,
            ),
            Panel(
                title="How long ago did a round of the shipper go through?",
                advice="Less than a second when all is well. See NicegoldAuditShipperSilent.",
                queries={
                    'time() - (nicegold_heartbeat_timestamp_seconds{@, component="shipper"} > 0)': "{{instance}}"
                },
                unit="s",
                shape="number",
                limits=(10, 60),
                width=6,
                may_be_empty=_NO_WORK,
            ),
            Panel(
                title="What becomes of documents?",
                advice="rejected: they are not taken as they are, see NicegoldAuditRejected. retried are requests: the "
                "server does not answer, or has no room. duplicate is no fault, they were there.",
                queries={
                    "sum by (sink, result) (increase(nicegold_audit_ship_total{@}[$__rate_interval]))": (
                        "{{sink}} {{result}}"
                    )
                },
                width=24,
                may_be_empty=_NO_WORK,
            ),
        ],
        "Checkpoints": [
            Panel(
                title="How long ago was a checkpoint signed?",
                advice="Old is no fault where nothing new is on record, as over a weekend.",
                queries={"time() - (nicegold_audit_checkpoint_timestamp_seconds{@} > 0)": "{{instance}}"},
                unit="s",
                width=12,
                may_be_empty=_NO_WORK,
            ),
            Panel(
                title="How many looks at what is to be signed have been missed?",
                advice="Since the last that went well. Above 3 see NicegoldAuditCheckpointStale.",
                queries={
                    '(time() - (nicegold_heartbeat_timestamp_seconds{@, component="notary"} > 0)) '
                    "/ on (job, instance) nicegold_audit_checkpoint_interval_seconds{@}": "{{instance}}"
                },
                limits=(1.5, 3),
                width=12,
                may_be_empty=_NO_WORK,
            ),
        ],
    },
)

SLOS = Board(
    "nicegold-slos",
    "nicegold: service levels",
    "Do we keep what we promise, and how long will the error budget last?",
    {
        "Budget": [
            Panel(
                title="How much of the month's error budget is left?",
                advice="Over 30 days of open time. Below 0 the objective is missed: change less until it recovers.",
                queries={
                    "1 - sum by (slo) (sum_over_time(nicegold:slo_errors:rate5m{@}[30d])) / "
                    "sum by (slo) (sum_over_time(nicegold:slo_events:rate5m{@}[30d])) / "
                    "on (slo) nicegold:slo_budget": "{{slo}}"
                },
                unit="percentunit",
                shape="number",
                limits=(0.0, 0.25),
                less_is_worse=True,
                width=24,
            ),
            Panel(
                title="How fast does it burn?",
                advice="Times the pace that lasts a month. Above 14.4 for an hour a person is paged, above 1 for days "
                "a ticket is written.",
                queries={
                    "nicegold:slo_error_ratio:1h{@} / on (slo) group_left () nicegold:slo_budget": "{{slo}} {{instance}}"
                },
                limits=(1, 14.4),
                width=12,
            ),
            Panel(
                title="How fast does it burn right now?",
                advice="The same over five minutes: whether what the other shows is over.",
                queries={
                    "nicegold:slo_error_ratio:5m{@} / on (slo) group_left () nicegold:slo_budget": "{{slo}} {{instance}}"
                },
                limits=(1, 14.4),
                width=12,
            ),
        ],
        "What counts": [
            Panel(
                title="How much has happened that counts?",
                advice="In the last hour. Below 20 the alerts on the budget keep silent: one failure says too little.",
                queries={"nicegold:slo_events:1h{@}": "{{slo}} {{instance}}"},
                limits=(20,),
                less_is_worse=True,
                width=12,
            ),
            Panel(
                title="How much of it went wrong?",
                advice="orders: in doubt. acks: later than half a second. hooks: failed. feeds: stale. notifications: "
                "later than five seconds.",
                queries={"nicegold:slo_error_ratio:1h{@}": "{{slo}} {{instance}}"},
                unit="percentunit",
                width=12,
            ),
        ],
    },
)

BOARDS = (TRADING, HOOKS, ORDERS, RISK, FEEDS, DELIVERY, PLATFORM, SLOS)
