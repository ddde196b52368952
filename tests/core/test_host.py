"""The host finds, refuses, watches and isolates; its compiled calls are pluggy's own, made cheap."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, wraps
from types import ModuleType
from typing import Any, NamedTuple

import pluggy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicegold import Bar, Cancel, Placed, Replace, hookimpl, hookspecs, plugin
from nicegold.answers import Reply
from nicegold.host import Call, Host, PluginRefused, installed
from nicegold.testing import market_order, unwatched

third_party = pluggy.HookimplMarker("nicegold")


def refusal(built: object, name: str = "limit") -> str:
    """With what words a host refuses *built*."""
    with pytest.raises(PluginRefused) as refused:
        Host(unwatched, {name: built})
    return str(refused.value)


@plugin
class Agrees:
    """A risk check that objects to nothing."""

    @hookimpl
    def check_order(self) -> None:
        return None


# The compiled call is pluggy's own.

#: One implementation for each set of arguments that a hook of two may declare, in either order.
SHAPES: dict[tuple[str, ...], Callable[..., Any]] = {
    (): lambda say: lambda self: say(),
    ("order",): lambda say: lambda self, order: say(order),
    ("portfolio",): lambda say: lambda self, portfolio: say(portfolio),
    ("order", "portfolio"): lambda say: lambda self, order, portfolio: say(order, portfolio),
    ("portfolio", "order"): lambda say: lambda self, portfolio, order: say(portfolio, order),
    ("replace",): lambda say: lambda self, replace: say(replace),
    ("replace", "order"): lambda say: lambda self, replace, order: say(replace, order),
    ("order", "replace"): lambda say: lambda self, order, replace: say(order, replace),
}
#: An all-results hook and two that end with the first result, with what they are given.
GIVEN: dict[str, dict[str, Any]] = {
    "check_order": {"order": market_order(), "portfolio": object()},
    "place_order": {"order": market_order()},
    "replace_order": {"replace": Replace(order_id="s-1"), "order": market_order()},
}


class Made(NamedTuple):
    """A generated plugin: where in the order it wants to be, what it takes, what it says."""

    place: str
    arguments: tuple[str, ...]
    says: str


def answer_of(hook: str, name: str) -> Any:
    return f"{name} objects" if hook == "check_order" else Placed(order_id="s-1", broker=name)


def built(hook: str, name: str, made: Made, calls: list[Any], *, raises: bool) -> object:
    """A plugin as *made*, which notes its calls; failing, or saying where in the order it would."""

    def say(*arguments: object) -> Any:
        calls.append((name, arguments))
        if made.says == "nothing":
            return None
        if made.says == "error" and raises:
            raise RuntimeError(name)
        return answer_of(hook, name)

    method = SHAPES[made.arguments](say)
    method.__name__ = hook
    options: dict[str, Any] = {made.place: True} if made.place else {}
    return type(name, (), {hook: third_party(**options)(method)})()


def plugins(hook: str) -> st.SearchStrategy[list[Made]]:
    shapes = [shape for shape in SHAPES if set(shape) <= GIVEN[hook].keys()]
    made = st.builds(
        Made,
        st.sampled_from(["", "tryfirst", "trylast"]),
        st.sampled_from(shapes),
        st.sampled_from(["nothing", "answer", "error"]),
    )
    return st.lists(made, max_size=6)


def by_pluggy(hook: str, sets: list[Made]) -> tuple[list[Any], list[Any]]:
    """What pluggy's own call answers, and whom it called; failures answer in their place."""
    calls: list[Any] = []
    manager = pluggy.PluginManager("nicegold")
    manager.add_hookspecs(hookspecs)
    for number, made in reversed(list(enumerate(sets))):
        manager.register(built(hook, f"p{number}", made, calls, raises=False), f"p{number}")
    answers = getattr(manager.hook, hook)(**GIVEN[hook])
    if isinstance(answers, list):
        return answers, calls
    return [] if answers is None else [answers], calls


def by_host(hook: str, sets: list[Made]) -> tuple[list[Reply], list[Any]]:
    calls: list[Any] = []
    host = Host(
        unwatched,
        {
            f"p{number}": built(hook, f"p{number}", made, calls, raises=True)
            for number, made in enumerate(sets)
        },
    )
    return list(host.call(hook)(*GIVEN[hook].values())), calls


@pytest.mark.parametrize("hook", GIVEN)
@settings(max_examples=50)
@given(data=st.data())
def test_a_compiled_call_gives_what_pluggys_own_gives_in_the_same_order(hook, data):
    sets = data.draw(plugins(hook))

    expected, expected_calls = by_pluggy(hook, sets)
    replies, calls = by_host(hook, sets)

    assert expected == [answer_of(hook, reply.plugin) for reply in replies]
    assert expected_calls == calls
    for reply in replies:
        made = sets[int(reply.plugin[1:])]
        assert hook == reply.hook
        assert reply.value == (None if made.says == "error" else answer_of(hook, reply.plugin))
        assert str(reply.error) == (reply.plugin if made.says == "error" else "None")


@settings(max_examples=50)
@given(data=st.data())
def test_without_the_one_that_fails_everybody_else_answers_the_same(data):
    sets = data.draw(plugins("check_order"))

    replies, _ = by_host("check_order", sets)
    healthy = [made if made.says != "error" else made._replace(says="nothing") for made in sets]
    without, _ = by_host("check_order", healthy)

    assert without == [reply for reply in replies if reply.error is None]


def test_a_failure_ends_a_search_for_the_first_result():
    sets = [Made("", (), "error"), Made("", (), "answer")]

    replies, calls = by_host("place_order", sets)

    assert [("p0", ())] == calls
    assert ["p0"] == [reply.plugin for reply in replies]
    assert "failed: RuntimeError: p0" == replies[0].reason


def test_plugins_are_called_in_the_order_of_the_configuration():
    sets = [Made("trylast", (), "answer"), *[Made("", (), "answer")] * 2, Made("tryfirst", (), "answer")]

    replies, _ = by_host("check_order", sets)

    assert ["p3", "p1", "p2", "p0"] == [reply.plugin for reply in replies]


def test_a_hook_that_nobody_implements_answers_nothing():
    host = Host(unwatched, {"agrees": Agrees()})

    assert () == host.call("on_bar")(None, None)
    assert not host.implements("on_bar")
    assert host.implements("check_order")


def test_each_plugin_can_be_called_on_its_own():
    sets = {"a": Made("", (), "answer"), "b": Made("", (), "error")}
    host = Host(
        unwatched, {name: built("check_order", name, made, [], raises=True) for name, made in sets.items()}
    )

    each = host.each("check_order")

    assert ["a", "b"] == list(each)
    assert "a objects" == each["a"](None, None)[0].reason
    assert "failed: RuntimeError: b" == each["b"](None, None)[0].reason


# Watching.


def test_observe_is_asked_once_for_each_implementation_and_its_call_is_made():
    asked: list[tuple[str, str]] = []
    made: list[str] = []

    def observe(hook: str, name: str, call: Call) -> Call:
        asked.append((hook, name))

        @wraps(call)
        def watched(*arguments: Any) -> Any:
            made.append(f"{name}.{hook}")
            return call(*arguments)

        return watched

    @plugin
    class Both:
        @hookimpl
        def check_order(self, order: object) -> str:
            return "no"

        @hookimpl
        def health(self) -> None:
            return None

    host = Host(observe, {"a": Both(), "b": Agrees()})
    host.call("check_order")(market_order(), None)
    host.call("check_order")(market_order(), None)
    host.call("health")()

    assert [("check_order", "a"), ("check_order", "b"), ("health", "a")] == sorted(asked)
    assert ["a.check_order", "b.check_order"] * 2 + ["a.health"] == made


def test_what_a_plugin_raised_is_shown_with_its_traceback_and_still_answered():
    @plugin
    class Fails:
        @hookimpl
        def check_order(self, order: object) -> str:
            raise LookupError("no limit")

    shown: list[tuple[str, str, str]] = []

    def failed(hook: str, name: str, error: BaseException) -> None:
        shown.append((hook, name, traceback.extract_tb(error.__traceback__)[-1].name))

    host = Host(unwatched, {"fails": Fails(), "agrees": Agrees()}, failed=failed)
    together = host.call("check_order")(market_order(), None)
    alone = host.each("check_order")["fails"](market_order(), None)

    assert [("check_order", "fails", "check_order")] * 2 == shown
    assert ["failed: LookupError: no limit"] * 2 == [replies[0].reason for replies in (together, alone)]


def test_a_host_that_nobody_watches_cannot_be_built():
    with pytest.raises(TypeError):
        Host(plugins={})  # type: ignore[call-arg]


# What is enabled.


def test_two_plugins_with_equal_settings_both_count():
    @plugin
    class Objects:
        limit: int

        @hookimpl
        def check_order(self) -> str:
            return f"limit is {self.limit}"

    host = Host(unwatched, {"a": Objects(limit=1), "b": Objects(limit=1)})

    assert ["a", "b"] == [reply.plugin for reply in host.call("check_order")(None, None)]


def test_what_is_enabled_is_listed_with_its_kind_and_its_hooks():
    @plugin
    class Strategy:
        @hookimpl
        def on_fill(self) -> None: ...

        @hookimpl
        def startup(self) -> None: ...

    @plugin
    class Watcher:
        @hookimpl
        def on_event(self) -> None: ...

    plugins = Host(unwatched, {"s": Strategy(), "limit": Agrees(), "w": Watcher()}).plugins

    assert ["s", "limit", "w"] == list(plugins)
    assert ["strategy", "risk", "watcher"] == [each.kind for each in plugins.values()]
    assert ("startup", "on_fill") == plugins["s"].hooks


def test_installed_is_not_enabled():
    found = installed()

    assert sorted(found) == list(found)
    assert "nicegold_plugins.brokers.paper:Paper" == found["paper"].value


def test_static_and_class_methods_and_modules_are_heard_too():
    class Static:
        @staticmethod
        @third_party
        def check_order() -> str:
            return "static"

        @classmethod
        @third_party
        def place_order(cls) -> None:
            return None

    module = ModuleType("module")
    exec("def check_order(order): return 'module'", vars(module))  # noqa: S102
    third_party(vars(module)["check_order"])

    host = Host(unwatched, {"static": Static(), "module": module})

    assert ["static", "module"] == [reply.value for reply in host.call("check_order")(None, None)]


def test_another_name_for_a_hook_is_heard():
    class Renamed:
        @third_party(specname="check_order")
        def look(self) -> str:
            return "no"

    assert "no" == Host(unwatched, {"it": Renamed()}).call("check_order")(None, None)[0].value


def test_properties_are_not_looked_at():
    """They may need what only startup fills in."""

    @plugin
    class Early:
        @property
        def average(self) -> float:
            raise RuntimeError("too early")

        @hookimpl
        def check_order(self) -> None: ...

    assert Host(unwatched, {"early": Early()}).implements("check_order")


# Refused at load.


def test_a_misspelt_hook_is_refused_with_the_nearest():
    class Misspelt:
        @hookimpl
        def check_ordr(self) -> None: ...

    assert "limit.check_ordr is not a hook; did you mean check_order?" == refusal(Misspelt())


def test_a_hook_that_is_like_none_is_refused_with_all_there_are():
    class Unheard:
        @hookimpl
        def zzz(self) -> None: ...

    assert refusal(Unheard()).startswith("limit.zzz is not a hook; there are startup, shutdown, health, ")


def test_a_misspelt_other_name_is_refused():
    class Renamed:
        @third_party(specname="check_ordr")
        def check_order(self) -> None: ...

    assert "limit.check_ordr is not a hook; did you mean check_order?" == refusal(Renamed())


def test_a_function_set_on_the_instance_is_refused_like_a_method():
    agrees = Agrees()
    agrees.on_bra = hookimpl(lambda: None)  # type: ignore[attr-defined]

    assert "limit.on_bra is not a hook; did you mean on_bar?" == refusal(agrees)


@pytest.mark.parametrize("style", ["wrapper", "hookwrapper"])
def test_a_wrapper_is_refused_in_both_of_pluggys_styles(style):
    options: dict[str, Any] = {style: True}

    class Wraps:
        @third_party(**options)
        def check_order(self) -> Iterator[None]:
            yield

    assert (
        "limit.check_order is a wrapper, which could drop another plugin's answer; "
        "implement check_order itself" == refusal(Wraps())
    )


def test_a_generator_is_refused_where_a_list_is_wanted():
    class Yields:
        @hookimpl
        def on_bar(self, bar: Bar) -> Iterator[None]:
            yield None

    assert "limit.on_bar yields; return a list instead" == refusal(Yields())


def test_a_stream_may_yield():
    class Feed:
        @hookimpl
        def stream_market(self) -> Iterator[Bar]:
            yield from ()

    (reply,) = Host(unwatched, {"feed": Feed()}).call("stream_market")({}, None)

    assert [] == list(reply.value)


@pytest.mark.parametrize("hook", ["on_event", "stream_executions"])
def test_a_coroutine_is_refused_everywhere(hook):
    async def coroutine(self: object) -> None: ...

    async def asynchronous_generator(self: object) -> AsyncIterator[None]:
        yield None

    for function in (coroutine, asynchronous_generator):
        assert f"limit.{hook} is async; make it a plain function" == refusal(
            type("Async", (), {hook: third_party(function)})()
        )


def test_an_argument_that_the_hook_does_not_offer_is_refused_with_the_nearest():
    class Misspelt:
        @hookimpl
        def check_order(self, oder: object) -> None: ...

    class Foreign:
        @hookimpl
        def check_order(self, order: object, clock: object) -> None: ...

    class Nothing:
        @hookimpl
        def shutdown(self, why: str) -> None: ...

    assert "limit.check_order gets no oder; did you mean order?" == refusal(Misspelt())
    assert "limit.check_order gets no clock; it gets order, portfolio" == refusal(Foreign())
    assert "limit.shutdown gets no why; it gets nothing" == refusal(Nothing())


def test_an_argument_that_would_never_arrive_is_refused():
    """pluggy passes neither arguments with a default nor those by keyword only."""

    class Default:
        @hookimpl
        def check_order(self, order: object, portfolio: object = None) -> None: ...

    class Keyword:
        @hookimpl
        def check_order(self, *, order: object) -> None: ...

    class Own:
        @hookimpl
        def check_order(self, order: object, digits: int = 2) -> None: ...

    assert "limit.check_order has a default for portfolio, so it would never get it; drop it" == refusal(
        Default()
    )
    assert "limit.check_order takes order by keyword only; make it a plain argument" == refusal(Keyword())
    assert Host(unwatched, {"own": Own()}).implements("check_order")


def test_a_method_with_a_hooks_name_and_no_mark_is_refused():
    """A risk check that is never asked is worse than none: people believe in it."""

    class Forgotten:
        @hookimpl
        def health(self) -> None: ...

        def check_order(self, order: object) -> str:
            return "no"

    class Cached:
        @hookimpl
        @lru_cache  # noqa: B019  # as a plugin author might
        def check_order(self, order: object) -> str:
            return "no"

    class Child(Agrees):
        def check_order(self) -> None: ...

    for built in (Forgotten(), Cached(), Child()):
        assert (
            "limit.check_order has a hook's name and would not be called; mark it with @hookimpl"
            == refusal(built)
        )


def test_a_setting_may_have_a_hooks_name():
    @plugin
    class Reads:
        source: str

        @hookimpl
        def check_order(self) -> None: ...

    assert ("check_order",) == Host(unwatched, {"r": Reads(source="x")}).plugins["r"].hooks


def test_a_plugin_without_a_hook_is_refused():
    assert "limit implements no hook; mark its methods with @hookimpl" == refusal(object())


def test_one_object_under_two_names_is_refused():
    agrees = Agrees()

    with pytest.raises(PluginRefused) as refused:
        Host(unwatched, {"a": agrees, "b": agrees})

    assert "a and b are the same object; build one for each name" == str(refused.value)


def test_equal_plugins_that_are_no_dataclass_of_ours_are_refused_with_the_way_out():
    @dataclass
    class Compares:
        limit: int

        @hookimpl
        def check_order(self) -> None: ...

    with pytest.raises(PluginRefused) as refused:
        Host(unwatched, {"a": Compares(1), "b": Compares(1)})

    assert "a equals another plugin; make its class with @plugin" == str(refused.value)


def test_the_engines_name_is_taken():
    assert "engine: this name is the engine's own; choose another" == refusal(Agrees(), "engine")


# Replies.


def test_a_reply_says_what_was_answered_or_what_went_wrong():
    assert "too much" == Reply("limit", "check_order", "too much").reason
    assert "failed: ValueError: bad" == Reply("limit", "check_order", error=ValueError("bad")).reason


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (42, "answered 42, not str | None"),
        (["no"], "answered ['no'], not str | None"),
        ("x" * 5, ""),
        (Cancel(order_id="s-1"), "answered Cancel(order_id='s-1'"),
    ],
)
def test_an_answer_of_another_kind_is_an_error_that_names_both(answer, words):
    class Answers:
        @hookimpl
        def check_order(self) -> object:
            return answer

    (reply,) = Host(unwatched, {"limit": Answers()}).call("check_order")(None, None)

    if words:
        assert reply.value is None
        assert reply.reason.startswith(f"failed: TypeError: {words}")
    else:
        assert answer == reply.value
