"""Clocks, chance, disk, network, processes and threads are handed in; who reaches for them is listed here.

What is simulated must be the same from the same seed. So the code of the three packages is read, not run:
a name of `BANNED` may stand only where `SEAMS` says so and why. A clock may also be the default of a
parameter: that parameter is the seam. Core has no such defaults: it is told the time.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("core/nicegold", "ops/nicegold_ops", "plugins/nicegold_plugins")


class Seam(NamedTuple):
    """Modules (a pattern) that may use what *uses* says, by name or by kind, and why."""

    modules: str
    uses: str
    why: str


SEAMS = (
    # Core.
    Seam("nicegold.conformance", "threading.Thread", "a stream blocks, and a case goes on beside it"),
    Seam("nicegold.files", "disk", "reads the files of market data that a feed names"),
    Seam("nicegold.pure", "os.environ.get Path.exists", "asked while core is imported: compiled or not"),
    # What a run is made of.
    Seam("nicegold_ops.store.place", "sqlalchemy.create_engine Path.mkdir", "its file or server"),
    Seam("nicegold_ops.store.schema", "sqlite3.connect", "in memory: what a new store there is copied from"),
    Seam("nicegold_ops.session", "threading.Thread", "streams block; a simulator calls the engine itself"),
    Seam("nicegold_ops.pager", "threading.Thread", "a notifier may hang, and trading does not wait for it"),
    Seam("nicegold_ops.pager", "time.monotonic", "how long an alert waited is told, and decides nothing"),
    Seam("nicegold_ops.quarantine", "disk", "a file a feed, for a person: nothing reads it again"),
    Seam("nicegold_ops.fence", "disk os.getpid", "a lock that the kernel drops when the process ends"),
    Seam("nicegold_ops.approval", "disk", "reads what runs, before a live run begins"),
    # What is told of a run: it never changes what is decided.
    Seam("nicegold_ops.telemetry.flight", "disk", "a ring in a mapped file, which survives the process"),
    Seam("nicegold_ops.telemetry.logs", "disk", "the log's file"),
    Seam("nicegold_ops.telemetry.tracer", "random.SystemRandom", "ids of spans of what is asked of servers"),
    Seam("nicegold_ops.telemetry.logs", "threading.Thread", "waits for who reads the log"),
    Seam("nicegold_ops.telemetry.tracer", "threading.Thread", "nobody waits for the trace store"),
    Seam("nicegold_ops.telemetry.errors", "threading.Thread", "nobody waits for who is sent errors"),
    Seam("nicegold_ops.telemetry.errors", "time.monotonic", "how often one error is sent"),
    Seam("nicegold_ops.witness", "threading.Thread", "reads the recorder beside the trading thread"),
    Seam("nicegold_ops.telemetry.http", "network thread", "serves metrics and health"),
    Seam("nicegold_ops.telemetry.watch", "time.perf_counter", "looks whether the clock is the one C reads"),
    Seam("nicegold_ops.telemetry.collector", "platform.python_version", "a label of nicegold_build_info"),
    # What a person calls: the edge, where clocks and signals come from.
    Seam("nicegold_ops.commands*", "clock disk environment process thread", "the edge"),
    Seam("nicegold_ops.people", "disk", "the key of a name, in a file of its own that can be destroyed"),
    Seam("nicegold_ops.people", "chance", "ids that nobody has"),
    Seam("nicegold_ops.audit.checkpoint", "disk", "publishes what was signed, where others cannot write"),
    Seam("nicegold_ops.commands._servers", "network", "asks whether who takes traces and errors is there"),
    Seam("nicegold_ops.commands.work", "random.random", "shippers that failed together do not try together"),
    Seam("nicegold_ops.config", "disk os.path.expanduser", "reads nicegold.toml; ~ is allowed in its paths"),
    Seam("nicegold_ops.reference", "os.path.expanduser", "~ is allowed in the path of a secret"),
    Seam("nicegold_ops.secrets", "disk", "reads the files of secrets"),
    Seam("nicegold_ops.app", "os.environ", "variables that hold secrets, looked at when a run is built"),
    Seam("nicegold_ops.vault.login", "disk", "reads the token of a pod"),
    Seam("nicegold_ops.envelope", "os.urandom", "keys and nonces that nobody may foresee or repeat"),
    Seam(
        "nicegold_ops.vault.vault",
        "thread random.random",
        "renews in time, whatever else waits; its clocks and its chance are handed in",
    ),
    Seam("nicegold_ops.forks", "os.register_at_fork", "what a child must not go on with"),
    Seam("nicegold_ops.installed", "pathlib.Path.cwd", "plugins beside the configuration can be imported"),
    Seam("nicegold_ops.backup*", "disk", "copies the store, and puts it back"),
    Seam("nicegold_ops.backup.pgbackrest", "process", "runs pgBackRest"),
    Seam("nicegold_ops.backup.server", "process", "runs PostgreSQL, to look at what was restored"),
    Seam("nicegold_ops.backup.repository", "os.getpid", "writes a file, whole or not at all"),
    Seam("nicegold_ops.conversion", "disk os.getpid", "writes a Parquet file, whole or not at all"),
    Seam("nicegold_ops.scaffold", "disk", "writes a new plugin's package"),
    Seam("nicegold_ops.report.page", "disk", "writes a page"),
    Seam("nicegold_ops.sweep.page", "disk", "writes a page"),
    Seam("nicegold_ops.sweep.ledger", "disk time.time_ns", "remembers sweeps; the time is for a person"),
    Seam("nicegold_ops.sweep.plan", "disk", "reads the configuration and the data's digests"),
    Seam("nicegold_ops.sweep.pool", "disk process", "trials run in processes of their own"),
    Seam("nicegold_ops.sweep.run", "disk", "a folder that the trials forget"),
    Seam("nicegold_ops.sweep.trial", "disk", "a folder that the trial forgets"),
    # Plugins that reach out: it is what they are for.
    Seam(
        "nicegold_plugins.brokers.venue",
        "clock network thread",
        "speaks with an exchange; a test gives it its clock",
    ),
    Seam("nicegold_plugins.feeds.dukascopy", "disk", "finds and reads its files, which are binary"),
    Seam("nicegold_plugins.feeds.stored", "disk", "reads a SQLite file"),
    Seam("nicegold_plugins.feeds.parquet", "disk", "pyarrow reads its file"),
    Seam("nicegold_plugins.notifiers.file", "disk", "appends alerts to a file"),
    # The simulated disk.
    Seam("nicegold_ops.simulate.vfs", "disk", "opens files of the disk that it simulates"),
    Seam("nicegold_ops.simulate.disk", "disk", "opens SQLite on the disk that it simulates"),
)


def words(said: str) -> frozenset[str]:
    return frozenset(said.split())


#: By kind, the names that are banned. The first kind that fits decides; what is "pure" touches nothing.
BANNED = {
    "pure": """
        os.path.normpath os.path.join os.path.basename os.path.dirname os.fspath os.fsdecode os.fsencode
        os.devnull os.name os.sep os.pathsep os.linesep os.PathLike signal.SIG* signal.Signals urllib.parse*
    """,
    "clock": """
        time.time time.time_ns time.monotonic time.monotonic_ns time.perf_counter time.perf_counter_ns
        time.process_time time.process_time_ns time.thread_time time.thread_time_ns time.clock_gettime
        time.clock_gettime_ns time.localtime time.gmtime time.ctime time.strftime time.sleep
        datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today datetime.date.today
    """,
    "chance": """
        random random.* numpy.random numpy.random.* uuid.uuid1 uuid.uuid4 uuid.getnode secrets secrets.*
        os.urandom os.getrandom
    """,
    "environment": """
        os.environ* os.getenv* os.path.expand* os.getcwd os.getlogin os.uname os.cpu_count
        os.sched_getaffinity platform platform.* pathlib.Path.home pathlib.Path.cwd
    """,
    "process": """
        os.fork* os.spawn* os.posix_spawn* os.exec* os.kill* os.abort os._exit os.system os.popen os.wait*
        os.getpid os.getppid subprocess subprocess.* multiprocessing multiprocessing.* signal signal.*
    """,
    "thread": """
        threading.Thread threading.Timer _thread _thread.* concurrent.futures* asyncio asyncio.*
    """,
    "network": """
        socket socket.* ssl ssl.* select select.* selectors selectors.* socketserver socketserver.*
        http.client* http.server* urllib urllib.*
    """,
    "disk": """
        open io.open io.FileIO Path.* pathlib.Path.* os os.* shutil shutil.* tempfile tempfile.* mmap mmap.*
        fcntl fcntl.* glob glob.* gzip.open bz2.open lzma.open zipfile.ZipFile tarfile.open sqlite3.connect
        sqlalchemy.create_engine logging.FileHandler logging.handlers* importlib.resources*
        numpy.load* numpy.save* numpy.fromfile numpy.memmap pyarrow.parquet*
    """,
    # A module under another name would be out of sight.
    "alias": "time datetime uuid threading pathlib",
    "order": "iter(set)",
}
#: Methods that look at, read or write a file, whatever has them: a Path cannot be told by its name.
FILE_METHODS = words(
    "open read_bytes read_text write_bytes write_text mkdir rmdir unlink touch exists is_file is_dir iterdir "
    "glob rglob stat lstat symlink_to"
)
#: Without a seed they take one from the machine.
SEEDED = words("random.Random numpy.random.default_rng")
#: Of what they are given, these keep the order and those forget it.
ORDERED = words("list tuple iter enumerate zip map filter sum deque join fromkeys extend")
UNORDERED = words("set frozenset sorted any all len min max")
SET_METHODS = words("union intersection difference symmetric_difference")

A_SET = "{set}"
OVER_A_SET = "iter(set)"


class Use(NamedTuple):
    """Something banned, and its line."""

    name: str
    line: int


# The rule.


@cache
def kind_of(name: str) -> str:
    """What kind of thing the dotted *name* reaches for; "pure" when it is none that is banned."""
    for kind, patterns in BANNED.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns.split()):
            return kind
    return "pure"


def uses_in(source: str, *, clocks_as_defaults: bool = True) -> list[Use]:
    """What of the banned things a module uses, in the order of its lines."""
    tree = ast.parse(source)
    finder = _Finder(tree, clocks_as_defaults)
    finder.visit(tree)
    return sorted(finder.uses, key=lambda use: use.line)


_Scoped = (
    ast.FunctionDef
    | ast.AsyncFunctionDef
    | ast.Lambda
    | ast.ClassDef
    | ast.ListComp
    | ast.SetComp
    | ast.DictComp
    | ast.GeneratorExp
)
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class _Scope(NamedTuple):
    """By name, what is meant: a dotted name, a set, or "" for anything else."""

    is_class: bool
    names: Mapping[str, str]


class _Finder(ast.NodeVisitor):
    def __init__(self, tree: ast.Module, clocks_as_defaults: bool) -> None:
        self.uses: list[Use] = []
        self._clocks_as_defaults = clocks_as_defaults
        self._scopes = [_Scope(False, _bound(tree.body))]
        self._set_attributes = frozenset(_set_attributes(tree))
        #: Comprehensions whose order does not come out.
        self._forgotten: set[ast.expr] = set()

    # Names.

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._note(self._dotted(node), node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self._dotted(node)
        if name:
            self._note(name, node)
        else:
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        name = self._dotted(node.func)
        if name in SEEDED and _is_seeded(node):
            pass
        elif isinstance(node.func, ast.Attribute) and node.func.attr in FILE_METHODS and not name:
            self.uses.append(Use(f"Path.{node.func.attr}", node.lineno))
            self.visit(node.func.value)
        else:
            self.visit(node.func)
        self._note_order(node)
        for argument in (*node.args, *node.keywords):
            self.visit(argument)

    def _note(self, name: str, node: ast.expr) -> None:
        if name != A_SET and kind_of(name) != "pure":
            self.uses.append(Use(name, node.lineno))

    def _dotted(self, node: ast.expr) -> str:
        """What was imported as *node*, by its full name; "" for anything else."""
        match node:
            case ast.Name():
                return self._meaning(node.id)
            case ast.Attribute():
                base = self._dotted(node.value)
                return f"{base}.{node.attr}" if base not in ("", A_SET) else ""
            case _:
                return ""

    def _meaning(self, name: str) -> str:
        for scope in reversed(self._scopes):
            # A method does not see the names of its class.
            if name in scope.names and (scope is self._scopes[-1] or not scope.is_class):
                return scope.names[name]
        return name if hasattr(builtins, name) else ""

    # Scopes. Annotations are not run, so nothing is visited in them.

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._visit_function(node, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_function(node, [node.body])

    def _visit_function(self, node: _Function, body: Iterable[ast.AST]) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None and not self._is_seam(default):
                self.visit(default)
        self._visit_in(_Scope(False, _arguments(node.args) | _bound(body)), body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for each in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(each)
        self._visit_in(_Scope(True, _bound(node.body)), node.body)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def _visit_in(self, scope: _Scope, nodes: Iterable[ast.AST]) -> None:
        self._scopes.append(scope)
        for node in nodes:
            self.visit(node)
        self._scopes.pop()

    def _is_seam(self, default: ast.expr) -> bool:
        return self._clocks_as_defaults and kind_of(self._dotted(default)) == "clock"

    # Order.

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._note_set(node.iter)
        self.generic_visit(node)

    visit_AsyncFor = visit_For

    def visit_Starred(self, node: ast.Starred) -> None:
        self._note_set(node.value)
        self.generic_visit(node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> None:
        self._note_set(node.value)
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        for each in node.elts:
            self.visit(each.value if isinstance(each, ast.Starred) else each)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        for generator in node.generators:
            if not isinstance(node, ast.SetComp) and node not in self._forgotten:
                self._note_set(generator.iter)
        inside = _Scope(False, _bound(generator.target for generator in node.generators))
        self._visit_in(inside, ast.iter_child_nodes(node))

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def _note_order(self, node: ast.Call) -> None:
        match node.func:
            case ast.Name(id=function) | ast.Attribute(attr=function):
                if function in ORDERED:
                    for argument in node.args:
                        self._note_set(argument)
                elif function in UNORDERED:
                    self._forgotten.update(node.args)

    def _note_set(self, node: ast.expr) -> None:
        if self._is_set(node):
            self.uses.append(Use(OVER_A_SET, node.lineno))

    def _is_set(self, node: ast.expr) -> bool:
        match node:
            case ast.Name():
                return self._dotted(node) == A_SET
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                return attribute in self._set_attributes
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor(), right=right):
                return self._is_set(left) or self._is_set(right) or _is_of_keys(left)
            case _:
                return _makes_set(node)


def _is_seeded(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return bool(given) and not (isinstance(given[0], ast.Constant) and given[0].value is None)


def _makes_set(node: ast.expr | None) -> bool:
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(
            func=ast.Name(id="set" | "frozenset") | ast.Subscript(value=ast.Name(id="set" | "frozenset"))
        ):
            return True
        case ast.Call(func=ast.Attribute(attr=method)):
            return method in SET_METHODS
        case _:
            return False


def _is_of_keys(node: ast.expr) -> bool:
    """What is done with the keys of a dict as with a set gives a set."""
    match node:
        case ast.Call(func=ast.Attribute(attr="keys")):
            return True
        case _:
            return False


def _says_set(annotation: ast.expr | None) -> bool:
    match annotation:
        case ast.Subscript(value=ast.Name(id="set" | "frozenset")) | ast.Name(id="set" | "frozenset"):
            return True
        case _:
            return False


def _set_attributes(tree: ast.Module) -> Iterator[str]:
    """The attributes of any `self` in *tree* that are said to be sets, or are made as such."""
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign(target=ast.Attribute(attr=attribute), annotation=said) if _says_set(said):
                yield attribute
            case ast.Assign(targets=[ast.Attribute(attr=attribute)], value=value) if _makes_set(value):
                yield attribute
            case _:
                pass


def _arguments(arguments: ast.arguments) -> dict[str, str]:
    every = (
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    )
    return {each.arg: A_SET if _says_set(each.annotation) else "" for each in every if each is not None}


def _bound(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """The names that *nodes* bind, without those of the scopes in them; what is imported comes first."""
    imported: dict[str, str] = {}
    others: dict[str, str] = {}
    for node in _own(nodes):
        match node:
            case ast.Import():
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    imported[alias.asname or top] = alias.name if alias.asname else top
            case ast.ImportFrom(level=0):
                imported |= {
                    alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
                }
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _makes_set(value):
                others[name] = A_SET
            case ast.AnnAssign(target=ast.Name(id=name), annotation=said) if _says_set(said):
                others[name] = A_SET
            case ast.Name(id=name, ctx=ast.Store()):
                others.setdefault(name, "")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                others.setdefault(name, "")
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                others.setdefault(name, "")
            case _:
                pass
    return others | imported


def _own(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for node in nodes:
        yield node
        if not isinstance(node, _Scoped):
            yield from _own(ast.iter_child_nodes(node))


# What it finds in our code.


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the three packages by its dotted name."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT / package).with_suffix("").parts
            yield ".".join((Path(package).name, *parts)).removesuffix(".__init__"), path


@cache
def used() -> Mapping[str, tuple[Use, ...]]:
    """By module, what it uses of what is banned."""
    return {
        module: tuple(
            uses_in(path.read_text("utf-8"), clocks_as_defaults=not path.is_relative_to(ROOT / "core"))
        )
        for module, path in modules()
    }


def allows(seam: Seam, module: str, use: Use) -> bool:
    return fnmatchcase(module, seam.modules) and not words(seam.uses).isdisjoint(
        (use.name, kind_of(use.name))
    )


def test_what_reaches_outside_is_listed_as_a_seam():
    paths = dict(modules())

    assert "" == "\n".join(
        f"{paths[module].relative_to(ROOT)}:{use.line}: {use.name} ({kind_of(use.name)}); "
        "let it be handed in, or say in SEAMS why not"
        for module, uses in used().items()
        for use in uses
        if not any(allows(seam, module, use) for seam in SEAMS)
    )


def test_no_seam_is_listed_that_is_not_there():
    assert "" == "\n".join(
        f"{seam.modules} does not use {said} any more; take it from SEAMS"
        for seam in SEAMS
        for said in seam.uses.split()
        if not any(
            allows(seam._replace(uses=said), module, use) for module, uses in used().items() for use in uses
        )
    )


def test_core_reads_files_and_does_nothing_else():
    core = {module: {kind_of(use.name) for use in uses} for module, uses in used().items() if uses}

    assert {
        "nicegold.conformance": {"thread"},
        "nicegold.files": {"disk"},
        "nicegold.pure": {"disk", "environment"},
    } == {module: kinds for module, kinds in core.items() if module.startswith("nicegold.")}


# What it finds at all.

#: What is found, where, and what is near it and is not found.
TEETH = [
    ("time.time", "import time\nnow = time.time()", "time = market\nnow = time.time()"),
    ("time.time_ns", "from time import time_ns as now\nnow()", "from ours import time_ns as now\nnow()"),
    ("time.monotonic", "import time\nserve(clock=time.monotonic)", "import time\nserve(clock=time.altzone)"),
    ("time.time_ns", "import time\ndef f(x=time.time_ns()): ...", "import time\ndef f(x=time.time_ns): ..."),
    ("time.time", "import time\nf = lambda: time.time()", "import time\nf = lambda time: time.time()"),
    ("time.time", "import time as t\nx = t.time()", "import ours as t\nx = t.time()"),
    (
        "time.perf_counter",
        "import time\ndef f():\n    time = time_of\ndef g():\n    return time.perf_counter()",
        "import time\ndef f():\n    time = clock\n    return time.perf_counter()",
    ),
    (
        "time.time",
        "import time\nclass Bar:\n    time = 0\n    def f(self):\n        return time.time()",
        "import time\nclass Bar:\n    time = clock\n    now = time.time()",
    ),
    ("time.sleep", "import time\ntime.sleep(1)", "import time\ndef f(*, wait=time.sleep): ..."),
    ("time", "import time\nclock = time", "import time\nclock: time.struct_time"),
    (
        "datetime.datetime.now",
        "from datetime import UTC, datetime\ndatetime.now(UTC).isoformat()",
        "from datetime import UTC, datetime\ndatetime.fromtimestamp(0, UTC).isoformat()",
    ),
    (
        "datetime.datetime.utcnow",
        "import datetime as d\nd.datetime.utcnow()",
        "import datetime as d\nd.datetime(1970, 1, 1)",
    ),
    (
        "datetime.date.today",
        "from datetime import date\ndate.today()",
        "from datetime import date\ndate(1970, 1, 1)",
    ),
    ("random.random", "import random\nrandom.random()", "def f(random):\n    random.random()"),
    ("random.choice", "from random import choice\nchoice(xs)", "def f(x: random.Random): x.choice(xs)"),
    ("random.Random", "from random import Random\nRandom()", "from random import Random\nRandom(7)"),
    ("random.Random", "from random import Random\nRandom(None)", "from random import Random\nRandom(x=seed)"),
    (
        "random.Random",
        "from random import Random\nfield(default_factory=Random)",
        "field(default_factory=Random)",
    ),
    ("numpy.random.normal", "import numpy as np\nnp.random.normal()", "import numpy as np\nnp.normal()"),
    (
        "numpy.random.default_rng",
        "import numpy as np\nnp.random.default_rng()",
        "import numpy as np\nnp.random.default_rng(seed).normal()",
    ),
    ("uuid.uuid4", "import uuid\nuuid.uuid4()", "import uuid\nuuid.uuid5(namespace, name)"),
    ("uuid.uuid1", "from uuid import uuid1\nuuid1()", "from uuid import UUID\nUUID(text)"),
    (
        "secrets.token_hex",
        "import secrets\nsecrets.token_hex()",
        "from ours import secrets\nsecrets.token_hex()",
    ),
    ("os.urandom", "import os\nos.urandom(8)", "import os\nos.fspath(path)"),
    ("open", "open('x')", "def f(open): open('x')"),
    ("open", "def f():\n    with open('x') as file: ...", "def open(): ...\nwith open() as file: ..."),
    ("os.open", "import os\nos.open('x', 0)", "import os\nos.path.normpath('x')"),
    ("os.path.exists", "import os.path\nos.path.exists('x')", "from os.path import join\njoin('x', 'y')"),
    ("Path.open", "path.open()", "bar.open"),
    ("Path.read_text", "(folder / name).read_text()", "text(folder / name)"),
    ("Path.write_bytes", "self.path.write_bytes(content)", "self.path.with_name(name)"),
    (
        "pathlib.Path.read_bytes",
        "from pathlib import Path\nmap(Path.read_bytes, xs)",
        "from pathlib import Path\nmap(Path, xs)",
    ),
    ("Path.exists", "if path.exists(): ...", "if path.name: ..."),
    ("sqlite3.connect", "import sqlite3\nsqlite3.connect(x)", "import sqlite3\nexcept_for(sqlite3.Error)"),
    ("tempfile.mkdtemp", "import tempfile\ntempfile.mkdtemp()", "tempfile = ours\ntempfile.mkdtemp()"),
    ("socket.socket", "import socket\nsocket.socket()", "def f(socket): socket.socket()"),
    (
        "socket.create_connection",
        "def f():\n    from socket import create_connection\n    create_connection(x)",
        "def f():\n    from socket import create_connection\ndef g():\n    create_connection(x)",
    ),
    (
        "urllib.request.urlopen",
        "import urllib.request\nurllib.request.urlopen(x)",
        "import urllib.parse\nurllib.parse.quote(x)",
    ),
    (
        "http.client.HTTPConnection",
        "from http.client import HTTPConnection\nHTTPConnection(x)",
        "from http import HTTPStatus\nHTTPStatus(200)",
    ),
    ("subprocess.run", "import subprocess\nsubprocess.run(x)", "def run(run): run.subprocess.run(x)"),
    ("os.fork", "import os\nos.fork()", "def fork(os): os.fork()"),
    ("os.spawnv", "import os\nos.spawnv(x)", "spawnv(x)"),
    ("os.kill", "from os import kill\nkill(1, 9)", "kill(1, 9)"),
    (
        "multiprocessing.get_context",
        "import multiprocessing\nmultiprocessing.get_context()",
        "def f(multiprocessing): multiprocessing.get_context()",
    ),
    ("signal.signal", "import signal\nsignal.signal(2, f)", "import signal\nsignal.Signals(2).name"),
    ("threading.Thread", "import threading\nthreading.Thread()", "import threading\nthreading.Lock()"),
    ("threading.Timer", "from threading import Timer\nTimer(1, f)", "from threading import Event\nEvent()"),
    (
        "concurrent.futures.ThreadPoolExecutor",
        "from concurrent.futures import ThreadPoolExecutor\nThreadPoolExecutor()",
        "from ours import ThreadPoolExecutor\nThreadPoolExecutor()",
    ),
    ("os.environ", "import os\nos.environ['HOME']", "def f(environ): environ['HOME']"),
    ("os.environ.get", "from os import environ\nenviron.get('HOME')", "def f(environ): environ.get('HOME')"),
    ("os.getenv", "import os\nos.getenv('HOME')", "import os\nos.devnull"),
    (OVER_A_SET, "for x in {a, b}: ...", "for x in (a, b): ..."),
    (OVER_A_SET, "for x in set(xs): ...", "for x in sorted(set(xs)): ..."),
    (OVER_A_SET, "[x for x in {f(y) for y in ys}]", "{x for x in {f(y) for y in ys}}"),
    (OVER_A_SET, "list(x for x in frozenset(xs))", "sorted(x for x in frozenset(xs))"),
    (OVER_A_SET, "', '.join({a, b})", "', '.join(sorted({a, b}))"),
    (OVER_A_SET, "f(*{a, b})", "{*{a, b}, c}"),
    (OVER_A_SET, "for x in a.keys() - b: ...", "for x in a - b: ..."),
    (OVER_A_SET, "for x in set(a) | b: ...", "for x in dict(a) | b: ..."),
    (OVER_A_SET, "next(iter(a.union(b)))", "len(a.union(b))"),
    (OVER_A_SET, "def f():\n    xs = {a}\n    yield from xs", "def f():\n    xs = [a]\n    yield from xs"),
    (OVER_A_SET, "def f(xs: set[str]): return tuple(xs)", "def f(xs: list[str]): return tuple(xs)"),
    (
        OVER_A_SET,
        "class A:\n    def f(self):\n        self.x = set()\n        list(self.x)",
        "class A:\n    def f(self):\n        self.x = set()\n        y in self.x",
    ),
]


@pytest.mark.parametrize(("name", "source"), [(name, found) for name, found, _ in TEETH])
def test_what_is_banned_is_found(name, source):
    assert [name] == [use.name for use in uses_in(source)]


@pytest.mark.parametrize("source", [near for _, _, near in TEETH])
def test_what_is_near_it_is_not(source):
    assert [] == uses_in(source)


def test_core_may_not_even_have_a_clock_as_a_default():
    source = "import time\ndef f(clock=time.time_ns): ..."

    assert [Use("time.time_ns", 2)] == uses_in(source, clocks_as_defaults=False)


def test_every_kind_is_tried():
    assert BANNED.keys() - {"pure"} == {kind_of(name) for name, _, _ in TEETH} - {"pure"}


@pytest.mark.parametrize(
    "name",
    [name for said in BANNED.values() for name in said.split() if "*" not in name and name != OVER_A_SET],
)
def test_what_is_banned_exists(name):
    """A name that is misspelt would ban nothing."""
    assert hasattr(builtins, name) or resolve_name(name)
