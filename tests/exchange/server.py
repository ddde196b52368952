"""The exchange's two ports: sessions of clients, and the control of tests. What is said is in __main__."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

from tests.exchange.books import Account, Books, Fenced, Message, Refusal
from tests.exchange.faults import Fault, Faults

#: Heartbeats that a client may leave out.
_MISSED = 3


class Session:
    """One connection of a client; after its login, the one of its account."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.account: Account | None = None
        self.is_open = True
        self.streams = False
        self.cancels = False
        self.missed = 0
        self._writer = writer
        self._lines: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self.tasks = [asyncio.create_task(self._write())]

    def send(self, line: bytes, delay: float = 0.0) -> None:
        """Send *line* after those before it, *delay* seconds late."""
        self._lines.put_nowait((delay, line + b"\n"))

    async def _write(self) -> None:
        try:
            while True:
                delay, line = await self._lines.get()
                if delay:
                    await asyncio.sleep(delay)
                self._writer.write(line)
                await self._writer.drain()
        except OSError:  # the client is gone; its reader says so
            return

    def close(self, last: bytes = b"") -> None:
        self.is_open = False
        for task in self.tasks:
            # A heartbeat that hangs up has something left to do.
            if task is not asyncio.current_task():
                task.cancel()
        if last and not self._writer.is_closing():
            self._writer.write(last + b"\n")
        self._writer.close()


class Server:
    """*heartbeat* is in seconds. With a *journal*, commands are in it before they happen."""

    def __init__(self, journal: Path | None, heartbeat: float) -> None:
        self._books = Books()
        self._heartbeat = heartbeat
        self._faults = Faults()
        self._stands_at: int | None = None
        self._sessions: dict[str, Session] = {}
        self._requests: Counter[str] = Counter()
        self._held: list[tuple[Account, Message]] = []
        self._held_requests: list[tuple[Session, Message]] = []
        self._mute = False
        self._journal = _recovered(journal, self._books) if journal else None
        self._sent = {name: len(each.executions) for name, each in self._books.accounts.items()}

    def _now(self) -> int:
        return time.time_ns() if self._stands_at is None else self._stands_at

    def _apply(self, command: Message) -> Message:
        command = {**command, "time": self._now()}
        if self._journal is not None:
            self._journal.write(_line(command) + b"\n")
            self._journal.flush()
        return self._books.apply(command)

    # Clients.

    async def meet_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(writer)
        try:
            while session.is_open and (line := await reader.readline()):
                self._take(session, _request(line))
        except (OSError, ValueError) as error:  # cut, or no protocol at all
            if isinstance(error, ValueError) and session.is_open:
                session.close(_line({"closed": f"this is no request: {error}", "fenced": False}))
        finally:
            self._hang_up(session)

    def _hang_up(self, session: Session) -> None:
        account = session.account
        if account is not None and self._sessions.get(account.name) is session:
            del self._sessions[account.name]
            if session.cancels:
                self._cancel_all(account)
        session.close()

    def _cancel_all(self, account: Account) -> None:
        for order in account.working:
            if order.client_order_id:
                self._apply(
                    {
                        "do": "cancel",
                        "account": account.name,
                        "client_order_id": order.client_order_id,
                        "reason": "its session has ended",
                    }
                )
        self._publish()

    def _take(self, session: Session, request: Message, *, was_held: bool = False) -> None:
        """Act on one line of a client, unless a fault is set."""
        do, faults = request["do"], self._faults
        # Bytes that were on the way when a newer session came are nobody's.
        if not session.is_open:
            return
        session.missed = 0
        if do == "heartbeat":
            self._requests[do] += 1
            return
        if do == "login" or session.account is None:
            self._log_in(session, request)
            return
        if not was_held and faults.take("hold_requests", do):
            self._held_requests.append((session, request))
            return
        if faults.take("lose_requests", do):
            return
        if faults.take("die_before", do):
            os._exit(9)
        self._mute = not faults.is_always("silent") and faults.take("silent", do) is not None
        answer = self._act(session.account, session, request)
        self._requests[do] += 1
        if faults.take("die_after", do):
            os._exit(9)
        if faults.take("cut", do):
            self._hang_up(session)
        self._answer(session, {"id": request.get("id"), **answer}, do)
        self._publish()
        self._mute = False
        if do == "stream" and "refused" not in answer:
            self._send_again(session, request["after"])

    def _answer(self, session: Session, answer: Message, do: str) -> None:
        if self._faults.take("lose_answers", do) or not session.is_open:
            return
        slow = self._faults.take("slow", do) or Fault()
        line = _line(answer)
        if self._faults.take("garble", do):
            line = line[: len(line) // 2]
        self._send(session, line, slow.ms / 1000)

    def _send(self, session: Session, line: bytes, delay: float = 0.0) -> None:
        if not (self._mute or self._faults.is_always("silent")):
            session.send(line, delay)

    def _log_in(self, session: Session, request: Message) -> None:
        try:
            refused = self._faults.take("refuse_logins")
            if refused:
                raise Refusal(refused.reason)
            if request["do"] != "login" or session.account is not None:
                raise Refusal("log in first, and once")
            self._apply({name: request[name] for name in ("do", "account", "token")})
        except (Refusal, KeyError) as error:
            refusal = {"refused": str(error), "fenced": isinstance(error, Fenced)}
            self._send(session, _line({"id": request.get("id"), **refusal}))
            return
        self._seat(session, request)

    def _seat(self, session: Session, request: Message) -> None:
        account = self._books.account(request["account"])
        older = self._sessions.pop(account.name, None)
        if older is not None:
            reason = f"token {account.token} has logged in"
            older.close(
                b"" if self._faults.is_always("silent") else _line({"closed": reason, "fenced": True})
            )
        session.account, session.cancels = account, bool(request.get("cancel_on_disconnect"))
        self._sessions[account.name] = session
        self._sent.setdefault(account.name, 0)
        session.tasks.append(asyncio.create_task(self._beat(session, account)))
        welcome = {"token": account.token, "sequence": len(account.executions)}
        times = {"heartbeat": self._heartbeat, "time": self._now()}
        self._send(session, _line({"id": request.get("id"), **welcome, **times}))

    async def _beat(self, session: Session, account: Account) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            if session.missed >= _MISSED:
                break
            session.missed += 1
            beat = {"heartbeat": self._now(), "sequence": len(account.executions)}
            self._send(session, _line(beat))
        self._hang_up(session)

    def _act(self, account: Account, session: Session, request: Message) -> Message:
        books, do = self._books, request["do"]
        try:
            match do:
                case "order" | "cancel" | "replace":
                    command = {**request, "account": account.name}
                    rejects = self._faults.take("reject") if do == "order" else None
                    return {
                        "execution": self._apply({**command, "reject": rejects.reason if rejects else ""})
                    }
                case "find":
                    return {**books.find(account, request["client_order_id"]), "time": self._now()}
                case "stream":
                    session.streams = True
                    return {"after": int(request["after"])}
                case "statement":
                    parts = ("orders", "fills", "positions", "cash", "costs")
                    found = [self._look_up(account, part, request) for part in parts]
                    return {**dict(zip(parts, found, strict=True)), "time": self._now()}
                case _:
                    return {do: self._look_up(account, do, request)}
        except (Refusal, KeyError, ValueError, TypeError) as error:
            reason = str(error) if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"
            return {"refused": reason, "fenced": False}

    def _look_up(self, account: Account, what: str, request: Message) -> Any:
        match what:
            case "orders":
                return self._books.orders(account, int(request["since"]))
            case "fills":
                return self._books.fills(account, int(request["since"]))
            case "positions":
                return self._books.positions(account)
            case "cash":
                return f"{account.cash:f}"
            case "costs":
                return self._books.costs(account)
        raise Refusal(f"there is no request {what!r}")

    # Executions.

    def _publish(self) -> None:
        """Send what has happened to whom it concerns."""
        for account in self._books.accounts.values():
            sent = self._sent.get(account.name, 0)
            self._sent[account.name] = len(account.executions)
            for execution in account.executions[sent:]:
                if self._faults.take("lose"):
                    continue
                if self._faults.take("hold"):
                    self._held.append((account, execution))
                    continue
                for _ in range(2 if self._faults.take("double") else 1):
                    self._send_execution(account, execution)

    def _send_execution(self, account: Account, execution: Message) -> None:
        session = self._sessions.get(account.name)
        if session is not None and session.streams:
            self._send(session, _line({"execution": execution}))

    def _send_again(self, session: Session, after: int) -> None:
        account = session.account
        if account is None or self._sessions.get(account.name) is not session:
            return
        held = {execution["sequence"] for each, execution in self._held if each is account}
        for execution in account.executions[after:]:
            if execution["sequence"] not in held:
                self._send_execution(account, execution)

    # Control.

    async def meet_control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            try:
                answer = {"ok": True, **self._control(_request(line))}
            except (ValueError, KeyError, TypeError) as error:
                answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
            writer.write(_line(answer) + b"\n")
        writer.close()

    def _control(self, request: Message) -> Message:
        match request.pop("do"):
            case "fault":
                self._faults.set(request.pop("kind"), request)
            case "clear":
                self._faults.clear()
            case "release":
                self._release(bool(request.get("reverse")))
            case "disconnect":
                for session in list(self._sessions.values()):
                    self._hang_up(session)
            case "time":
                self._stands_at = request["at"]
            case "state":
                return self._state(self._books.account(request["account"]))
            case ("quote" | "symbol" | "bust" | "foreign" | "adjust") as do:
                done = self._apply({"do": do, **request})
                self._publish()
                return {"execution": done} if done else {}
            case do:
                raise ValueError(f"there is no control {do!r}")
        return {}

    def _release(self, reverse: bool) -> None:
        requests, self._held_requests = self._held_requests, []
        for session, request in requests[::-1] if reverse else requests:
            self._take(session, request, was_held=True)
        held, self._held = self._held, []
        for account, execution in held[::-1] if reverse else held:
            self._send_execution(account, execution)

    def _state(self, account: Account) -> Message:
        return {
            "token": account.token,
            "sequence": len(account.executions),
            "orders": self._books.orders(account, 0),
            "fills": self._books.fills(account, 0),
            "positions": self._books.positions(account),
            "cash": f"{account.cash:f}",
            "is_connected": account.name in self._sessions,
            "is_streaming": account.name in self._sessions and self._sessions[account.name].streams,
            "requests": dict(self._requests),
            "held_requests": len(self._held_requests),
            "held": len(self._held),
        }


async def serve(port: int, control_port: int, journal: Path | None, heartbeat: float) -> None:
    """Serve until cancelled; says the ports on stdout once it does."""
    server = Server(journal, heartbeat)
    trading = await asyncio.start_server(server.meet_client, "127.0.0.1", port)
    control = await asyncio.start_server(server.meet_control, "127.0.0.1", control_port)
    ports = {"port": _port_of(trading), "control_port": _port_of(control)}
    print(json.dumps(ports), flush=True)
    async with trading, control:
        await asyncio.gather(trading.serve_forever(), control.serve_forever())


def _port_of(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


def _recovered(path: Path, books: Books) -> IO[bytes]:
    """The journal at *path*, open at its end, when *books* have done what is in it."""
    path.touch()
    whole = 0
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break  # killed in the middle of it: it has not happened
        whole += len(line)
        try:
            books.apply(json.loads(line))
        except Refusal:
            continue  # it was refused then, too
    os.truncate(path, whole)
    return path.open("ab")


def _request(line: bytes) -> Message:
    """The request in *line*. Raises ValueError when it is none."""
    request = json.loads(line)
    if not isinstance(request, dict) or not isinstance(request.get("do"), str):
        raise ValueError('a request is an object that has "do"')
    return request


def _line(message: Message) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
