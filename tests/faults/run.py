"""One scenario under load: the fault at a seeded random moment, then the oracle."""

import random
import time
from collections import Counter
from contextlib import ExitStack, suppress

from tests.faults import oracle
from tests.faults.audience import Audience
from tests.faults.house import House
from tests.faults.journal import GRANTED, NOTHING, REFUSED, Check, Journal, now
from tests.faults.load import MAY_PASS, Load
from tests.faults.proxy import Proxy
from tests.faults.result import Result
from tests.faults.scenarios import Scenario
from tests.faults.scene import OWN, Scene

BEFORE, AFTER = (0.3, 0.8), 0.7  # seconds of load before the fault, a range, and after it
LONG_BEFORE, LONG_AFTER = (3.0, 10.0), 8.0
SETTLE_SECONDS = 120.0  # then it is lost; how fast it should be, `drains_s` says


def run(
    house: House,
    scenario: Scenario,
    seed: int,
    audience: Audience | None = None,
    *,
    quick: bool,
    timed: bool = True,
) -> Result:
    """Load, fault, load, silence, judgement; not `timed`: what took too long is told only."""
    name = f"{seed}/{scenario.name}"
    chance = random.Random(name)  # noqa: S311  # a seed is the point
    scene = Scene(
        house,
        scenario.short if quick else scenario.long,
        chance,
        scenario.short_times if quick else scenario.times,
    )
    house.wait_for(lambda: not house.backlog(), "nothing left of before")
    before, letters = house.stored(), Counter(house.letters())
    poison = len(house.poison)
    journal = Journal(house.folder / "journal")
    with ExitStack() as stack:
        port = house.stack.mtls_port
        if scenario.through_proxy:
            scene.proxy = Proxy(port, chance)
            stack.enter_context(scene.proxy.running())
            port = scene.proxy.port
        stack.enter_context(Load(port, house.files, journal, name).running())
        time.sleep(chance.uniform(*(BEFORE if quick else LONG_BEFORE)))
        ended = strike(scenario, scene)
        scene.note("drained_s", drained(house, scenario, scene) - ended)
        with suppress(TimeoutError):  # which will be judged
            house.wait_for(lambda: takes(journal, ended), "readings", scenario.resumes_s)
        time.sleep(AFTER if quick else LONG_AFTER)
    try:
        house.wait_for(lambda: not house.backlog(), "everything is stored", SETTLE_SECONDS)
    except TimeoutError as error:
        scene.faults.append(str(error))
    scene.expect(not house.pending(), "entries are pending at rest")
    confirmed = journal.close()
    journal.checks += scene.checks
    if audience:
        # Of what was taken away nobody can be told.
        audience.checks += [one for one in journal.checks if str(one.log_id) not in scene.taken]
    after = house.stored()
    findings = oracle.judge(
        journal.sent, confirmed, journal.checks, after.since(before), scene.taken
    )
    findings.add("vanished", range(after.vanished(before)))
    oracle.judge_letters(
        findings, house.poison[poison:], (Counter(house.letters()) - letters).elements()
    )
    judge_times(scenario, scene, journal)
    result = Result(scenario.name, seed, findings, len(confirmed), scene.figures, scene.faults)
    (result.faults if timed else result.late).extend(scene.late)
    return result


def takes(journal: Journal, since: float) -> bool:
    """Whether a reading was taken that was sent since then."""
    return any(one.asked >= since and one.status == 202 for one in journal.deliveries[-50:])


def drained(house: House, scenario: Scenario, scene: Scene) -> float:
    """When the backlog was as small as it always is under load."""
    try:
        house.wait_for(lambda: not house.is_behind, "drained", scenario.drains_s)
    except TimeoutError:
        scene.late.append(f"not drained within {scenario.drains_s:.0f} s")
    return now()


def strike(scenario: Scenario, scene: Scene) -> float:
    """Let it happen; when it was over. A fault that could not be done has not been survived."""
    try:
        scenario.fault(scene)
    except Exception as error:  # noqa: BLE001  # the other rows still say something
        scene.faults.append(f"{type(error).__name__}: {error}")
    return now()


def judge_times(scenario: Scenario, scene: Scene, journal: Journal) -> None:
    """What holds during the fault and after it."""
    windows = [(begun, ended + scenario.grace) for begun, ended in scene.windows]
    inside = [check for check in journal.checks if is_inside(check, windows)]
    outside = [check for check in journal.checks if not is_inside(check, windows)]
    judge_decisions(scenario, scene, inside, outside)
    if inside:
        took = [check.milliseconds for check in inside]
        scene.note("check_max_ms", max(took))
        scene.note("check_p99_ms", percentile(took, 99))
    judge_ingest(scenario, scene, journal)
    scene.note("load_late_ms", percentile(journal.late, 99))
    for name, most in scenario.bounds.items():
        found = scene.figures.get(name)
        if found is None or found > most:
            scene.late += [f"{name} is {found}, more than {most:.0f}", *slowest(inside, scene)]


def slowest(inside: list[Check], scene: Scene) -> list[str]:
    """The checks that took longest."""
    begun = min((start for start, _ in scene.windows), default=0.0)
    return [
        f"slow: {one.kind} {one.milliseconds:.0f} ms, {one.asked - begun:.2f} s after the fault "
        f"began: {one.outcome}"
        for one in sorted(inside, key=lambda one: -one.milliseconds)[:3]
    ]


def is_inside(check: Check, windows: list[tuple[float, float]]) -> bool:
    return any(begun <= check.answered and check.asked <= ended for begun, ended in windows)


def judge_decisions(
    scenario: Scenario, scene: Scene, inside: list[Check], outside: list[Check]
) -> None:
    """Refusals without a decision: only inside the window, only of the classes excused there."""
    wrong = [one for one in outside if not is_right(one)]
    for one in inside:
        excused = one.outcome == "503" and one.kind in scenario.excused
        cut = one.outcome == NOTHING and scenario.cuts
        if not (excused or cut or is_right(one)):
            wrong.append(one)
    scene.note("unanswered", sum(one.outcome not in (GRANTED, REFUSED) for one in inside))
    decided = [one for one in wrong if one.outcome in (GRANTED, REFUSED)]
    given_up = [one for one in wrong if one.outcome not in (GRANTED, REFUSED)]
    scene.faults += described(decided, inside)
    scene.late += described(given_up, inside)


def described(wrong: list[Check], inside: list[Check]) -> list[str]:
    """The first of some checks, and how many more there are."""
    lines = [
        f"{one.kind} check {'in' if one in inside else 'outside'} the window: "
        f"{one.outcome} {one.reason} after {one.milliseconds:.0f} ms"
        for one in wrong[:5]
    ]
    return lines + [f"… and {len(wrong) - 5} more checks"] * (len(wrong) > 5)


def is_right(check: Check) -> bool:
    """As it would be without any fault. What a fault asked itself, it judges itself."""
    if check.kind == OWN:
        return True
    return check.outcome == (GRANTED if check.kind in MAY_PASS else REFUSED)


def judge_ingest(scenario: Scenario, scene: Scene, journal: Journal) -> None:
    """Whether readings were taken when they should, and only then."""
    if scenario.ingest == "503":
        taken = [
            one
            for one in journal.deliveries
            if one.status == 202
            and any(begun <= one.asked and one.answered <= ended for begun, ended in scene.absences)
        ]
        scene.expect(bool(scene.absences), "nothing was away")
        scene.expect(not taken, f"{len(taken)} deliveries were taken by nobody")
    for begun, ended in scene.windows:
        if scenario.ingest == "202":
            inside = [o for o in journal.deliveries if begun <= o.asked and o.answered <= ended]
            bad = [one.status for one in inside if one.status != 202]
            scene.expect_in_time(not bad, f"{len(bad)} deliveries in the window got {bad[:3]}")
        later = [o.answered for o in journal.deliveries if o.asked >= ended and o.status == 202]
        resumed = min(later, default=float("inf")) - ended
        scene.note("resumed_s", resumed)
        scene.expect_in_time(
            resumed <= scenario.resumes_s, f"readings resumed after {resumed:.1f} s"
        )


def percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0
