"""The cache's protocol as a small model, and a search through everything that can happen to it.

Programs are lists of steps, each of which happens at once; the search tries every order of the
steps of all programs. Between any two steps the cache Redis may drop the entry, lose all it has, or
(where a design is asked to bear that) come back as it was some time ago, and a writer may die.
Versions stand for the states of the database: a reader must never be told an older one than the
newest whose writer had been answered when the reader started, and at rest a valid entry is the
newest.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Memory = dict[str, Any]  # what one program remembers between its steps


class World(NamedTuple):
    """The database, the cache Redis, and what was promised."""

    version: int = 0  # committed in the database
    promised: int = 0  # the newest version whose writer was answered
    generation: int | None = 1
    entry: tuple[int | None, int] | None = None  # filed under a generation: a version
    revision: int | None = 0  # the version that the cache was told of
    fresh: int = 2  # the next random generation: none that ever was
    backup: tuple[Any, ...] | None = None  # what a restart of Redis may bring back


Step = Callable[[World, Memory], World]
Program = tuple[Step, ...]


class Design(NamedTuple):
    """How readers, writers and the repairing worker go about it.

    With its last step a writer is answered; a reader when it remembers an `answer`.
    """

    reader: Program
    writer: Program
    repair: Program = ()
    deaths: int = 1  # how many writers may die before they are done
    returns: int = 0  # how often Redis may come back as it was some time ago


# -- Steps ---------------------------------------------------------------------------------------


def commit(world: World, memory: Memory) -> World:
    memory["version"] = world.version + 1
    return world._replace(version=world.version + 1)


def read_revision(world: World, memory: Memory) -> World:
    memory["revision"] = world.version
    return world


def forget(world: World, memory: Memory) -> World:
    """A new random generation, and with it the revision that it stands for."""
    return _made(world)._replace(revision=memory["revision"])


def answer_writer(world: World, memory: Memory) -> World:
    return world._replace(promised=max(world.promised, memory["version"]))


def look_up(world: World, memory: Memory) -> World:
    """One script: the generation (made if it is missing), and the entry if it is of it."""
    if world.generation is None:
        world = _made(world)
    memory["generation"] = world.generation
    if world.entry and world.entry[0] == world.generation:
        memory["answer"] = world.entry[1]
    return world


def look_up_without_generation(world: World, memory: Memory) -> World:
    if world.entry:
        memory["answer"] = world.entry[1]
    return world


def look_up_by_counter(world: World, memory: Memory) -> World:
    return look_up(world._replace(generation=world.generation or 0), memory)


def count_on(world: World, memory: Memory) -> World:
    """A counter for a generation: after a loss it starts again."""
    return world._replace(generation=(world.generation or 0) + 1)


def read_database(world: World, memory: Memory) -> World:
    memory["read"] = world.version
    return world


def ask_generation(world: World, memory: Memory) -> World:
    memory["generation"] = world.generation
    return world


def file_entry(world: World, memory: Memory) -> World:
    """Keep what was read, under the generation that was asked for."""
    memory["answer"] = memory["read"]
    return world._replace(entry=(memory.get("generation"), memory["read"]))


def delete_entry(world: World, memory: Memory) -> World:
    return world._replace(entry=None)


def write_through(world: World, memory: Memory) -> World:
    return world._replace(entry=(None, memory["version"]))


def ask_revision(world: World, memory: Memory) -> World:
    memory["known"] = world.revision
    return world


def forget_unless_known(world: World, memory: Memory) -> World:
    return world if memory["known"] == memory["revision"] else forget(world, memory)


def _made(world: World) -> World:
    return world._replace(generation=world.fresh, fresh=world.fresh + 1)


# -- Designs -------------------------------------------------------------------------------------

OURS = Design(
    reader=(look_up, read_database, file_entry),
    writer=(commit, read_revision, forget),
    repair=(ask_revision, read_revision, forget_unless_known),
)
UNSAFE = {
    "keys deleted one by one": Design(
        reader=(look_up_without_generation, read_database, file_entry),
        writer=(commit, delete_entry),
        deaths=0,
    ),
    "write-through": Design(
        reader=(look_up_without_generation, read_database, file_entry),
        writer=(commit, write_through),
        deaths=0,
    ),
    "a counter for a generation": Design(
        reader=(look_up_by_counter, read_database, file_entry),
        writer=(commit, count_on),
        deaths=0,
    ),
    "the generation asked for after the database": OURS._replace(
        reader=(look_up, read_database, ask_generation, file_entry), deaths=0
    ),
    "forgotten before the commit": OURS._replace(writer=(read_revision, forget, commit), deaths=0),
    "answered before it is forgotten": OURS._replace(
        writer=(commit, answer_writer, read_revision, forget), deaths=0
    ),
    "a cache that can come back old": OURS._replace(returns=1, deaths=0),
    "nobody repairs": OURS._replace(repair=()),
}


# -- Search --------------------------------------------------------------------------------------


class Run(NamedTuple):
    """A program under way."""

    left: Program
    is_writer: bool = False
    promised: int | None = None  # what a reader may expect: set when it starts
    memory: tuple[tuple[str, Any], ...] = ()


class State(NamedTuple):
    """Where everything stands, and how often what may still go wrong."""

    world: World
    runs: tuple[Run, ...]
    deaths: int
    returns: int
    losses: int = 1
    evictions: int = 1


Way = tuple[str, ...]
Events = Iterator[tuple[str, State | None]]  # None: a state that must not be


def search(design: Design) -> tuple[int, Way]:
    """Try everything that two writers, two readers and the worker can meet.

    How many states there were, and the way to the first that must not be.
    """
    writer, reader = Run(design.writer, is_writer=True), Run(design.reader)
    runs = (reader, reader, Run(design.repair), writer, writer)
    start = State(World(), runs, design.deaths, design.returns)
    seen = {_key(start)}
    ways: deque[tuple[State, Way]] = deque([(start, ())])
    while ways:
        state, way = ways.popleft()  # the shortest way first
        for event, following in _events(state, design):
            if following is None:
                return len(seen), (*way, event)
            key = _key(following)
            if key not in seen:
                seen.add(key)
                ways.append((following, (*way, event)))
    return len(seen), ()


def _events(state: State, design: Design) -> Events:
    for index, run in enumerate(state.runs):
        if run.left:
            yield _step(state, index, run)
    yield from _troubles(state)
    if not any(run.left for run in state.runs):
        rested = _repaired(state.world, design)
        entry, generation = rested.entry, rested.generation
        if entry and entry[0] in (None, generation) and entry[1] != rested.version:
            yield "at rest the entry is not the database", None


def _step(state: State, index: int, run: Run) -> tuple[str, State | None]:
    step, *left = run.left
    memory = dict(run.memory)
    promised = state.world.promised if run.promised is None else run.promised
    world = step(state.world, memory)
    if "answer" in memory:
        left = []
        if memory["answer"] < promised:
            return f"{step.__name__}: stale", None
    if run.is_writer and not left:
        world = answer_writer(world, memory)
    kept = tuple(memory.items()) if left else ()
    moved = Run(tuple(left), run.is_writer, promised if left else None, kept)
    return step.__name__, _with(state, index, moved)._replace(world=world)


def _troubles(state: State) -> Events:
    world = state.world
    for index, run in enumerate(state.runs):
        if run.is_writer and run.left and run.memory and state.deaths:
            dead = _with(state, index, Run((), is_writer=True))
            yield "a writer dies", dead._replace(deaths=state.deaths - 1)
    if state.losses:
        lost = world._replace(generation=None, entry=None, revision=None)
        yield "Redis loses all", state._replace(world=lost, losses=state.losses - 1)
    if state.evictions and world.entry:
        evicted = world._replace(entry=None)
        yield "evicted", state._replace(world=evicted, evictions=state.evictions - 1)
    if state.returns and world.backup is None:
        backup = (world.generation, world.entry, world.revision)
        yield "Redis saves", state._replace(world=world._replace(backup=backup))
    if state.returns and world.backup:
        generation, entry, revision = world.backup
        old = world._replace(generation=generation, entry=entry, revision=revision)
        yield "Redis comes back old", state._replace(world=old, returns=state.returns - 1)


def _with(state: State, index: int, run: Run) -> State:
    return state._replace(runs=(*state.runs[:index], run, *state.runs[index + 1 :]))


def _repaired(world: World, design: Design) -> World:
    """The worker looks every second, so also once more after everything."""
    memory: Memory = {}
    for step in design.repair:
        world = step(world, memory)
    return world


def _key(state: State) -> Any:
    """States that differ in which of two equal programs did what are the same."""
    runs = sorted((len(r.left), r.is_writer, r.promised or 0, repr(r.memory)) for r in state.runs)
    return (state.world, *runs, *state[2:])
