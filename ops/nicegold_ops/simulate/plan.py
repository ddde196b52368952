"""What is to go wrong in a simulation: drawn from its seed, or named by hand.

Each seed goes wrong in a few ways only (a swarm of plans covers more than one plan of everything). A trouble
says what it befalls by counting that kind of thing, so leaving one out moves none of the others.
"""

from __future__ import annotations

from random import Random
from typing import Literal, TypeAlias

import msgspec

Where: TypeAlias = Literal["disk", "start", "order", "change", "execution", "question", "step"]

#: By what is counted, what can befall it. The text is for a person.
KINDS: dict[Where, dict[str, str]] = {
    "disk": {
        "power": "the power goes; of what was not synced, some is lost, garbled or cut short",
        "full": "no space is left, until a person has seen to it",
        "error": "the operation fails",
        "short": "a write is done in part",
    },
    "start": {
        "refuse": "the exchange cannot be reached when the engine starts",
    },
    "order": {
        "lose request": "it never arrives",
        "lose answer": "the exchange has it, and its answer never arrives",
        "hold": "it arrives after we have given up",
        "cut": "the exchange has it, and the connection is cut",
        "garble": "the answer is about another order",
        "refuse": "the exchange cannot be reached, and nothing leaves",
        "power before": "the power goes just before it leaves",
        "power after": "the power goes just after it has left",
        "kill after": "the process is killed just after it has left",
    },
    "change": {
        "lose request": "it never arrives",
        "lose answer": "the exchange has it, and its answer never arrives",
        "hold": "it arrives after we have given up",
        "cut": "the exchange has it, and the connection is cut",
        "kill after": "the process is killed just after it has left",
    },
    "execution": {
        "double": "it is told twice",
        "lose": "it is never told",
        "late": "it is told late, after what came later",
        "kill": "the process is killed before it has heard of it",
    },
    "question": {
        "silence": "nobody answers",
        "late": "the answer comes late",
        "garble": "the answer is none",
        "power": "the power goes while we wait for the answer",
    },
    "step": {
        "power": "the power goes",
        "kill": "the process is killed",
        "outage": "the exchange is gone for a while",
        "foreign": "another terminal trades on the account",
        "bust": "the exchange takes our last trade back",
        "adjust": "the exchange books cash that no trade explains, and takes it back later",
        "garbage": "the feed yields what cannot be a price",
        "backwards": "the feed goes back in time",
        "our clock": "our clock is set",
        "their clock": "the exchange's clock is set",
        "halt": "a risk check asks for a halt; a person lifts it after the next start",
    },
}
#: Ends the process: what it knew and had not written is gone.
_ENDS = frozenset({"power", "full", "error", "short", "power before", "power after", "kill after", "kill"})
#: About how many there are of each in one bar's time; a disk has far more operations than that.
_OFTEN: dict[Where, float] = {
    "disk": 12.0,
    "start": 0.1,
    "order": 0.5,
    "change": 0.25,
    "execution": 1.0,
    "question": 0.5,
    "step": 1.0,
}
SECOND = 1_000_000_000
#: Bars of a drawn plan.
BARS = 30


class Trouble(msgspec.Struct, frozen=True, order=True):
    """*what* befalls the *at*-th (from 1 on) of its kind; *amount* is ns, where that takes time.

    Operations of the disk are counted anew in each *life*, which is from one start to the next.
    """

    where: Where
    what: str
    at: int
    amount: int = 0
    life: int = 0

    def __str__(self) -> str:
        which = f" of life {self.life}" if self.life else ""
        size = f" ({self.amount / SECOND:g} s)" if self.amount else ""
        return f"{self.where} {self.at}{which}: {self.what}{size}: {KINDS[self.where][self.what]}"


def spelled(trouble: Trouble) -> str:
    """*trouble* as `nicegold simulate --trouble` takes it."""
    parts = (trouble.where, trouble.what, trouble.at, trouble.amount, trouble.life)
    return ":".join(map(str, parts)).removesuffix(":0").removesuffix(":0")


def spelt(text: str) -> Trouble:
    """The trouble that *text* spells. Raises ValueError that says what there is."""
    where, what, at, amount, life = [*text.split(":"), "0", "0"][:5] if text.count(":") >= 2 else ("",) * 5
    if where not in KINDS:
        raise ValueError(f'"{text}" is no trouble; one is order:lose answer:3, of {", ".join(KINDS)}')
    if what not in KINDS[where]:
        raise ValueError(f'"{text}": what befalls {where} is {", ".join(KINDS[where])}')
    try:
        numbers = int(at), int(amount), int(life)
    except ValueError:
        raise ValueError(f'"{text}": after the second colon come whole numbers: which, ns, life') from None
    return Trouble(where, what, *numbers)


class Plan(msgspec.Struct, frozen=True):
    """One simulation: *seed* decides the market, what strategies want and how long things take.

    *bars* are traded on, then all is calm. *luck* decides what survives on the disk. *fool* is whether a
    plugin that fails all the time is there. A *pace* is ns from bar to bar; else chance has it.
    Strategies rest on that part *rest* of the bars.
    """

    seed: int
    bars: int
    troubles: tuple[Trouble, ...] = ()
    luck: int = 0
    fool: bool = False
    pace: int = 0
    rest: float = 0.0


def planned(seed: int) -> Plan:
    """What goes wrong for *seed*."""
    bars = BARS
    random = Random(f"plan {seed}")  # noqa: S311  # repeated, not guarded
    kinds = [(where, what) for where, whats in KINDS.items() for what in whats]
    chosen = random.sample(kinds, random.randint(1, 6))
    ends = any(what in _ENDS for _, what in chosen)
    troubles = [
        trouble
        for where, what in chosen
        # Who takes a trade back while nobody listens leaves a break, which only a person ends.
        if not (what == "bust" and (ends or ("execution", "lose") in chosen))
        for trouble in _drawn(random, where, what, bars)
    ]
    return Plan(seed, bars, tuple(sorted(set(troubles))), fool=random.random() < 0.2)


def _drawn(random: Random, where: Where, what: str, bars: int) -> list[Trouble]:
    """A few of one kind."""
    several = range(random.choice((1, 1, 2, 3, 6)))
    reach = max(1, int(bars * _OFTEN[where]))
    return [
        Trouble(
            where,
            what,
            random.randint(1, reach),
            amount=_amount(random, what),
            life=random.choice((1, 1, 2, 3)) if where == "disk" else 0,
        )
        for _ in several
    ]


def _amount(random: Random, what: str) -> int:
    match what:
        case "hold" | "late":
            return random.randint(SECOND // 10, 5 * SECOND)
        case "outage" | "adjust":
            return random.randint(SECOND, 20 * SECOND)
        case "our clock" | "their clock":
            return random.choice((-3600, -60, 1, 60, 3600)) * SECOND
        case _:
            return 0
