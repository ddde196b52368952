"""A small exchange, as a process of its own: `python -m tests.exchange --port 0 --control-port 0`.

Prints one line, `{"port": 40123, "control_port": 40124}`, and serves on loopback until it is ended.
With `--journal FILE` its books survive that: what changes them is in FILE before it happens. (Written,
not synced: a killed process loses nothing, a machine without power may.)

Trading port: a line of JSON each way. Times are ns UTC; quantities (lots), prices and money are text.
What a client sends has an "id" and a "do", and is answered in one line with that "id":

    {"id": 1, "do": "login", "account": "demo", "token": 7, "cancel_on_disconnect": false}
    {"id": 1, "token": 7, "sequence": 42, "heartbeat": 0.5, "time": ...}

The first line is a login. Its token fences: it must be higher than that of every login before. From
then on the account's older session is closed, and nothing of it is taken any more, also if it was on
the way. So what is unknown after a login never arrived and never will.

    {"id": 2, "do": "order", "order": {"client_order_id": "a-1", "symbol": "XAUUSD", "side": "buy",
        "quantity": "0.10", "type": "limit", "price": "2000.00", "stop_price": null,
        "time_in_force": "gtc", "reduce_only": false}}
    {"id": 3, "do": "cancel", "client_order_id": "a-1"}
    {"id": 4, "do": "replace", "client_order_id": "a-1", "quantity": "0.20", "price": null,
        "stop_price": null}
    {"id": 2, "execution": {"sequence": 43, "kind": "accepted", "time": ..., "client_order_id": "a-1",
        "venue_order_id": "X-1", "symbol": "XAUUSD", "side": "buy"}}

Each is answered with its first execution. An order whose client_order_id was there before is answered
as the first time, and nothing else happens. Types are market, limit and stop; times in force gtc and
ioc. An order at market waits for size. What a bust gives back may trade again while the order works.

    {"id": 5, "do": "find", "client_order_id": "a-1"}     "order" (or null), "executions", "time"
    {"id": 6, "do": "orders", "since": 0}                 "orders": working, and ended since then
    {"id": 7, "do": "fills", "since": 0}                  "fills": those that stand
    {"id": 8, "do": "positions"}                          "positions": signed lots by symbol
    {"id": 9, "do": "cash"}                               "cash"
    {"id": 10, "do": "statement", "since": 0}             the last four, as of one moment, "time"
    {"id": 11, "do": "stream", "after": 42}               "after"; then every execution after the 42nd

Executions come as `{"execution": {...}}`. Their "kind" is accepted, rejected (reason), fill (trade_id,
quantity, price, commission), canceled (reason, filled), cancel_rejected (reason), replaced (quantity, price,
stop_price) or busted (trade_id, reason). They are numbered by account, whichever session was there.
One without a client_order_id is another terminal's on the same account. They are never answered.

    {"heartbeat": 1767571200000000000, "sequence": 43}    all up to the 43rd was sent
    {"do": "heartbeat"}                                   wanted in return: after three without, it hangs up
    {"closed": "why", "fenced": true}                     the last line of a session
    {"id": 2, "refused": "why", "fenced": false}          a request that is not taken, and changes nothing

Control port: a line of JSON each way, answered with "ok".

    {"do": "quote", "symbol": "XAUUSD", "bid": "1999", "ask": "2001", "bid_size": "1", "ask_size": null}
    {"do": "symbol", "symbol": "XAUUSD", "lot_size": "100", "commission": "7"}      commission is a lot's
    {"do": "fault", "kind": "lose_answers", "next": 3, "of": ["order"]}      see faults.py
    {"do": "clear"}                                       no faults; what is held is held
    {"do": "release", "reverse": true}                    what is held: requests, then executions
    {"do": "bust", "trade_id": "T-1"}
    {"do": "foreign", "account": "demo", "symbol": "XAUUSD", "side": "buy", "quantity": "1", "price": "2000"}
    {"do": "adjust", "account": "demo", "symbol": "XAUUSD", "quantity": "-1", "cash": "0"}
    {"do": "disconnect"}                                  all sessions, without a word
    {"do": "time", "at": 1767571200000000000}             the clock stands there; null lets it go
    {"do": "state", "account": "demo"}                    its token, orders, ..., and the requests taken
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from tests.exchange.server import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.exchange", description="A small exchange.")
    parser.add_argument("--port", type=int, default=0, help="for clients; 0 takes a free one")
    parser.add_argument("--control-port", type=int, default=0, help="for tests; 0 takes a free one")
    parser.add_argument("--journal", type=Path, help="the books, kept in this file")
    parser.add_argument("--heartbeat", type=float, default=0.5, help="seconds between heartbeats")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.control_port, options.journal, options.heartbeat))


main()
