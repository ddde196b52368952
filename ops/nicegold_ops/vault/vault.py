"""What Vault lends us, kept for as long as it may be: a token, and credentials of databases.

hvac renews nothing. Here each thing is renewed when two thirds of its time are over, and had anew when
its time grows no more. While Vault fails us, what is lent is kept until it ends, and then that is told.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from nicegold import Secret
from nicegold_ops.config import Resolve
from nicegold_ops.credentials import Credentials
from nicegold_ops.errors import in_one_line
from nicegold_ops.forks import forgets
from nicegold_ops.reference import Reference
from nicegold_ops.suggest import did_you_mean
from nicegold_ops.telemetry.logs import logger
from nicegold_ops.telemetry.outgoing import Relay
from nicegold_ops.vault.api import Api, Denied, Missing, Unavailable, VaultFailed
from nicegold_ops.vault.login import Door, Login
from nicegold_ops.vault.settings import VaultSettings

if TYPE_CHECKING:
    import hvac

Severity: TypeAlias = Literal["info", "critical"]
#: Told what a person should know: how bad it is, a title and the text.
Tell: TypeAlias = Callable[[Severity, str, str], object]
#: Told once what has ended and could not be had anew.
Lost: TypeAlias = Callable[[str], object]

#: The part of its time after which something is renewed, less up to a tenth of that by chance, so that not
#: everybody who began together comes together.
_RENEWED, _JITTER = 2 / 3, 0.1
#: Seconds until it is tried again; less where little time is lent.
_RETRY = 5.0
#: Seconds that Vault's numbers may be off by rounding.
_ROUNDING = 1.5
_LONGEST_WAIT = 600.0
_log = logger("vault")


class Read(msgspec.Struct, frozen=True):
    """A field of a secret, and when this version of it was made (s UTC)."""

    secret: Secret
    created: float


class _Term(msgspec.Struct, frozen=True):
    """*ttl* seconds were lent, of at most *full* so far, until *ends*; at *due* it should be renewed.

    Both by the monotonic clock.
    """

    ttl: float
    full: float
    ends: float
    due: float

    def is_less(self, granted: float) -> bool:
        """Whether *granted* seconds are less than before: it comes to the longest time that it may live."""
        return granted < self.full - _ROUNDING


class _Held(msgspec.Struct, frozen=True):
    """A token of ours, the *number*-th."""

    number: int
    login: Login
    term: _Term


class _Lease(msgspec.Struct, frozen=True):
    """Credentials for *role* at *mount*, lent to the token of that number, with which they end too."""

    mount: str
    role: str
    id: str
    token: int
    renewable: bool
    term: _Term
    credentials: Credentials


class Vault:
    """Our dealings with the Vault of *settings*, from the first question on; *resolve* opens it.

    Any thread may ask. After a fork the child has nothing and logs in by itself. *wall* tells s UTC, *chance*
    a number from 0 to 1.
    """

    def __init__(
        self,
        settings: VaultSettings,
        resolve: Resolve,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        #: Is told of each request, once somebody wants to know.
        self.outgoing = Relay()
        self._door = Door(settings, resolve, self.outgoing)
        self._monotonic, self._wall, self._chance = monotonic, wall, chance
        self._tell: Tell = lambda *said: None
        self._lost: Lost = lambda reason: None
        self._is_kept = False
        #: How often a token, a login or a lease was had or not, by kind and outcome.
        self.renewals: Counter[tuple[str, str]] = Counter(
            {(kind, outcome): 0 for kind in ("login", "token", "lease") for outcome in ("success", "failure")}
        )
        self.forget()
        forgets(self)

    def forget(self) -> None:
        """Begin anew, with nothing: what there is belongs to the process that we were forked from."""
        self._lock = threading.RLock()
        self._held: _Held | None = None
        self._leases: dict[tuple[str, str], _Lease] = {}
        #: When each token ends, by its number; those that are not the last may live on.
        self._ends: dict[int, float] = {}
        self._past: list[_Held] = []
        self._number = 0
        #: What fails now, by what it is about.
        self._troubles: dict[object, str] = {}
        #: What has ended, and was told.
        self._gone: dict[object, str] = {}
        self._thread: threading.Thread | None = None
        self._stopped, self._news = False, threading.Event()

    # What is asked of it.

    def read(self, reference: Reference) -> Read:
        """The field that *reference* names, of the newest version. Raises VaultFailed."""
        place, _, field = reference.where.partition("#")
        mount, _, path = place.partition("/")
        try:
            answer = self.ask(
                lambda client: client.secrets.kv.v2.read_secret_version(
                    path, mount_point=mount, raise_on_deleted_version=True
                )
            )
        except Denied as error:
            raise Denied(f"{reference}: {error}; its policy must let it read {mount}/data/{path}") from None
        except Missing as error:
            raise Missing(
                f"{reference}: {error}; put it there: vault kv put {mount}/{path} {field}=-"
            ) from None
        except VaultFailed as error:
            raise type(error)(f"{reference}: {error}") from None
        found = answer["data"]
        return Read(_field(reference, field, found["data"]), _seconds(found["metadata"]["created_time"]))

    def credentials(self, mount: str, role: str) -> Credentials:
        """A user and a password that the database engine at *mount* makes for *role*, new ones when due.

        Raises VaultFailed.
        """
        lease = self._good_lease(mount, role)
        if lease is None:
            with self._lock:
                lease = self._good_lease(mount, role) or self._obtain(mount, role)
        return lease.credentials

    def number_of(self, mount: str, role: str) -> int:
        """The number of the last credentials for *role*, without asking for new ones; 0 before any."""
        lease = self._leases.get((mount, role))
        return 0 if lease is None else lease.credentials.number

    def _good_lease(self, mount: str, role: str) -> _Lease | None:
        # Without the lock: while Vault is slow somebody has it, and what is lent can be used.
        lease = self._leases.get((mount, role))
        return None if lease is None or self._monotonic() >= self._end_of(lease) else lease

    def ask(self, call: Callable[[hvac.Client], Any]) -> Any:
        """What *call* answers under our token; where that is denied, under a new one. Raises VaultFailed."""
        held = self._logged_in()
        try:
            return held.login.api.ask(call)
        except Denied:
            return self._log_in_after(held).login.api.ask(call)

    def watch(self, tell: Tell, lost: Lost) -> None:
        """From now on *tell* troubles, and *lost* what has ended for good; also what has ended before."""
        self._tell, self._lost = tell, lost
        for reason in list(self._gone.values()):
            lost(reason)

    def keep(self) -> None:
        """Tend what is lent, now and in time to come, on a thread of its own."""
        self._is_kept = True
        if self._held is not None:
            self._begin_to_keep()

    def close(self) -> None:
        """Give back what was lent, as far as Vault takes it."""
        self._stopped = True
        self._news.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock, suppress(Unavailable):
            self._give_back()
        self._held, self._past = None, []

    # What is told of it.

    def token_ends(self) -> float | None:
        """When the token ends (s UTC); None when there is none or it never does."""
        held = self._held
        return None if held is None or held.term.ends == inf else self._on_wall(held.term.ends)

    def token_ttl(self) -> float | None:
        """For how many seconds the token was lent; None when there is none or it never ends."""
        held = self._held
        return None if held is None or held.term.ends == inf else held.term.ttl

    def lease_ends(self) -> Iterator[tuple[str, str, float]]:
        """The mount, the role and the end (s UTC) of each lease."""
        for lease in list(self._leases.values()):
            yield lease.mount, lease.role, self._on_wall(self._end_of(lease))

    def lease_ttls(self) -> Iterator[tuple[str, str, float]]:
        """The mount, the role and the seconds for which each lease was lent."""
        for lease in list(self._leases.values()):
            yield lease.mount, lease.role, lease.term.ttl

    # How it is kept.

    def tend(self) -> float:
        """Do what is due. Answers the seconds until something is due again or ends."""
        with self._lock:
            wait, ended = self._tend()
        # Without the lock: who is told may wait for one that waits for us.
        for reason in ended:
            self._lost(reason)
        return wait

    def _tend(self) -> tuple[float, list[str]]:
        held = self._held
        if held is None:
            return _LONGEST_WAIT, []
        self._attempt("token", held.term, "token", lambda: self._keep_token(held), self._postpone_token)
        for lease in list(self._leases.values()):
            self._tend_lease(lease)
        ended, now = list(self._newly_ended()), self._monotonic()
        terms = [(self._held or held).term, *(each.term for each in self._leases.values())]
        # What has ended is told already.
        next_times = [time for term in terms for time in (term.due, term.ends) if time > now]
        return min([time - now for time in next_times] + [_LONGEST_WAIT]), ended

    def _run(self) -> None:
        while not self._stopped:
            self._news.clear()
            wait = self.tend()
            self._news.wait(wait)

    def _begin_to_keep(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="vault", daemon=True)
            self._thread.start()
        self._news.set()

    def _tend_lease(self, lease: _Lease) -> None:
        key = lease.mount, lease.role
        self._attempt(
            key, lease.term, "lease", lambda: self._keep_lease(lease), lambda due: self._change(key, due=due)
        )

    def _attempt(
        self,
        what: object,
        term: _Term,
        kind: str,
        keep: Callable[[], None],
        postpone: Callable[[float], None],
    ) -> None:
        now = self._monotonic()
        if now < term.due:
            return
        try:
            keep()
        # Whatever answers there: what is lent is tended on, and its end must be told.
        except Exception as error:
            self.renewals[kind, "failure"] += 1
            postpone(now + min(_RETRY, term.ttl / 10) * (1 - _JITTER * self._chance()))
            said = str(error) if isinstance(error, VaultFailed) else in_one_line(error)
            self._note(what, said, term.ends)
        else:
            self.renewals[kind, "success"] += 1
            self._note(what, "", inf)

    def _postpone_token(self, due: float) -> None:
        if self._held is not None:
            self._held = replace(self._held, term=replace(self._held.term, due=due))

    def _change(self, key: tuple[str, str], **times: float) -> None:
        lease = self._leases[key]
        self._leases[key] = replace(lease, term=replace(lease.term, **times))

    def _keep_token(self, held: _Held) -> None:
        if held.login.renewable and self._renew_token(held):
            return
        again = self._log_in_after(held)
        if again.number == held.number and again.term.ends < held.term.ends + _ROUNDING:
            raise VaultFailed("the token cannot be renewed; put a new one where [vault] token says")

    def _renew_token(self, held: _Held) -> bool:
        """Whether it was renewed, for as long as before."""
        try:
            granted = held.login.api.post("auth/token/renew-self")["auth"]["lease_duration"]
        except Unavailable:
            raise
        except VaultFailed:
            return False
        if held.term.is_less(granted):
            return False
        self._hold(replace(held, term=self._term(granted, held.term.full)))
        return True

    def _keep_lease(self, lease: _Lease) -> None:
        held = self._logged_in()
        if not (lease.renewable and lease.token == held.number and self._renew_lease(held, lease)):
            self._obtain(lease.mount, lease.role)

    def _renew_lease(self, held: _Held, lease: _Lease) -> bool:
        try:
            answer = held.login.api.post("sys/leases/renew", lease_id=lease.id, increment=int(lease.term.ttl))
        except Unavailable:
            raise
        except VaultFailed:
            # It was revoked: as long as nobody knows of new ones, there are none.
            self._change((lease.mount, lease.role), ends=self._monotonic())
            return False
        granted = answer["lease_duration"]
        if lease.term.is_less(granted):
            return False
        self._leases[lease.mount, lease.role] = replace(lease, term=self._term(granted, lease.term.full))
        return True

    # Tokens.

    def _logged_in(self) -> _Held:
        held = self._held
        return self._log_in_after(None) if held is None else held

    def _log_in_after(self, last: _Held | None) -> _Held:
        """A token newer than *last*: of all who found that one wanting, one logs in. Raises VaultFailed."""
        with self._lock:
            held = self._held
            if held is not None and (last is None or held.number != last.number):
                return held
            try:
                login = self._door.log_in()
            except VaultFailed:
                self.renewals["login", "failure"] += 1
                raise
            self.renewals["login", "success"] += 1
            if held is not None and held.login.token == login.token:
                # Nobody has put another one there.
                held = replace(held, term=self._term(login.ttl, held.term.full))
            else:
                held = self._take(login)
            self._hold(held)
            if self._is_kept:
                self._begin_to_keep()
            return held

    def _take(self, login: Login) -> _Held:
        """*login* as the newest. What was lent to those before ends with them, so new things are due."""
        now = self._monotonic()
        before = [*self._past, *([self._held] if self._held else [])]
        self._past = [each for each in before if now < each.term.ends]
        for key in self._leases:
            self._change(key, due=now)
        self._number += 1
        return _Held(self._number, login, self._term(login.ttl))

    def _hold(self, held: _Held) -> None:
        self._held = held
        self._ends[held.number] = held.term.ends
        self._gone.pop("token", None)

    def _term(self, ttl: float, full: float = 0) -> _Term:
        """Of *ttl* seconds from now; 0 is for ever."""
        if not ttl:
            return _Term(inf, inf, inf, inf)
        now = self._monotonic()
        return _Term(ttl, max(ttl, full), now + ttl, now + ttl * _RENEWED * (1 - _JITTER * self._chance()))

    # Leases.

    def _obtain(self, mount: str, role: str) -> _Lease:
        path = f"{mount}/creds/{role}"
        try:
            answer = self.ask(lambda client: client.adapter.get(f"/v1/{path}"))
        except VaultFailed as error:
            raise type(error)(f"credentials of {path}: {error}") from None
        held = self._logged_in()
        self._number += 1
        lease = _Lease(
            mount=mount,
            role=role,
            id=answer["lease_id"],
            token=held.number,
            renewable=answer["renewable"],
            term=self._term(answer["lease_duration"]),
            credentials=Credentials(
                answer["data"]["username"], Secret(answer["data"]["password"]), self._number
            ),
        )
        self._leases[mount, role] = lease
        self._gone.pop((mount, role), None)
        if self._is_kept:
            self._begin_to_keep()
        return lease

    def _end_of(self, lease: _Lease) -> float:
        return min(lease.term.ends, self._ends[lease.token])

    def _give_back(self) -> None:
        """Each token takes its leases with it; of one that is not ours, the leases are."""
        held = self._held
        for each in [*self._past, *([held] if held else [])]:
            if each.login.is_ours:
                _give(each.login.api, "auth/token/revoke-self")
        if held is not None and not held.login.is_ours:
            for lease in self._leases.values():
                _give(held.login.api, "sys/leases/revoke", lease_id=lease.id)

    # What a person should know.

    def _note(self, what: object, trouble: str, ends: float) -> None:
        """Tell where trouble begins, and where all of it is over."""
        was = bool(self._troubles)
        self._troubles.pop(what, None)
        if trouble:
            self._troubles[what] = trouble
            if not was:
                until = "" if ends == inf else f" until {self._said(ends)}, then nothing new is sent"
                self._say("critical", "Vault fails", f"{trouble}; what is lent is kept{until}")
        elif was and not self._troubles:
            self._say("info", "Vault works again", "what is lent is renewed")

    def _say(self, severity: Severity, title: str, text: str) -> None:
        level = logging.INFO if severity == "info" else logging.ERROR
        _log.log(level, f"{title}: {text}", **{"event.action": "vault.trouble"})
        self._tell(severity, title, text)

    def _newly_ended(self) -> Iterator[str]:
        """What has ended since it was asked last, and why."""
        now = self._monotonic()
        ends: dict[object, tuple[float, str]] = {
            (mount, role): (self._end_of(lease), f"the credentials of {mount}/creds/{role} have ended")
            for (mount, role), lease in self._leases.items()
        }
        if self._held is not None:
            ends["token"] = self._held.term.ends, "the token of Vault has ended"
        for what, (end, reason) in ends.items():
            if now >= end and what not in self._gone:
                why = self._troubles.get(what) or next(
                    iter(self._troubles.values()), "it was not tried in time"
                )
                self._gone[what] = f"{reason} and cannot be renewed: {why}"
                yield self._gone[what]

    def _on_wall(self, moment: float) -> float:
        return self._wall() + moment - self._monotonic()

    def _said(self, moment: float) -> str:
        return f"{datetime.fromtimestamp(self._on_wall(moment), UTC):%H:%M:%S} UTC"


def _give(api: Api, path: str, **said: str) -> None:
    """What Vault will not take has ended, or will by itself. Raises Unavailable where it takes nothing."""
    try:
        api.post(path, **said)
    except Unavailable:
        raise
    except VaultFailed:
        return


def _field(reference: Reference, field: str, found: dict[str, Any]) -> Secret:
    value = found.get(field)
    if isinstance(value, str) and value:
        return Secret(value)
    if field in found:
        raise VaultFailed(f"{reference}: the field is no text, or empty; put it there as text")
    hint = did_you_mean(field, found) or f"; it has {', '.join(found)}"
    raise Missing(f"{reference}: there is no such field{hint}")


def _seconds(time: str) -> float:
    """Of Vault's times, which have more digits than Python's."""
    return datetime.fromisoformat(f"{time[:19]}+00:00").timestamp()


class Lent:
    """Credentials that the database engine at *mount* makes for *role*, as `Login` wants them.

    *give_back* is done when the store is closed.
    """

    def __init__(self, vault: Vault, mount: str, role: str, give_back: Callable[[], object]) -> None:
        self._vault, self._mount, self._role = vault, mount, role
        self._give_back = give_back

    def credentials(self) -> Credentials:
        return self._vault.credentials(self._mount, self._role)

    def number(self) -> int:
        return self._vault.number_of(self._mount, self._role)

    def close(self) -> None:
        self._give_back()
