import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from access import clock
from access.decision import WORDS, Decision, decide
from access.explanation import NoDoor, Simulation, circumstance, door_named, rule_verdicts
from policies import uid
from policies.management.text_files import read_text
from policies.models import Card
from policies.moments import parse_moment, utc_text
from policies.snapshot import snapshot


class Command(BaseCommand):
    help = "Say whether a card would open a door, and why. Nothing is recorded."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("card_uid", metavar="UID", nargs="?", help="4 to 10 bytes of hex")
        parser.add_argument("device_id", metavar="DEVICE", nargs="?", help="the id of a door")
        parser.add_argument("--at", metavar="TIME", help="ISO 8601 with an offset; now if absent")
        parser.add_argument(
            "--batch",
            metavar="FILE",
            help="answer a file instead, a line 'UID DEVICE TIME' by a line of JSON; "
            "now where TIME is absent; - is the standard input",
        )

    def handle(
        self,
        *,
        card_uid: str | None = None,
        device_id: str | None = None,
        at: str | None = None,
        batch: str | None = None,
        **options: Any,
    ) -> None:
        if batch is not None:
            if card_uid or device_id or at:
                raise CommandError("Give either UID and DEVICE or --batch FILE.")
            self.answer_all(read_text(batch))
        elif card_uid and device_id:
            self.explain(card_uid, device_id, at)
        else:
            raise CommandError("Give UID and DEVICE, or --batch FILE.")

    def explain(self, card_uid: str, device_id: str, at: str | None) -> None:
        try:
            moment = timezone.now() if at is None else _moment(at)
            known = uid.canonical(card_uid)
            device = door_named(device_id)
        except ValueError as error:
            raise CommandError(str(error)) from None
        with snapshot():
            credential, state = Card.objects.find_credential(known), device.door.state()
        here = timezone.localtime(moment)
        # The house's clock matters where it is asked for the time.
        problem = clock.problem(moment) if at is None else ""
        decision = decide(credential, state, here, clock_trusted=not problem)
        self.stdout.write(f"card: {known}, {_holder(decision)}")
        self.stdout.write(f"door: {device} ({device.device_id})")
        self.stdout.write(f"time: {utc_text(moment)}")
        self.stdout.write(f"here: {here:%A, %Y-%m-%d %H:%M:%S} ({settings.TIME_ZONE})")
        self.stdout.write(f"rule: {decision.rule or 'none'}")
        verdicts = rule_verdicts(decision, device.door, state, moment, clock_trusted=not problem)
        for verdict in verdicts:
            self.stdout.write(f"  “{verdict.rule}” {verdict.words}")
        if not device.enabled:
            self.stderr.write("note: the device is suspended, so it may not even ask.")
        if problem:
            self.stderr.write(f"note: {problem}")
        if why := circumstance(decision, device.door, moment):
            self.stdout.write(f"why: {why}")
        result = "granted" if decision.granted else "refused"
        self.stdout.write(f"{result}: {WORDS[decision.reason]} ({decision.reason})")

    def answer_all(self, text: str) -> None:
        """One answer a line, in the file's order; empty lines ask nothing."""
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        now = timezone.now()
        questions = [_question(number, line, now) for number, line in lines]
        wrong = 0
        with snapshot():
            simulation = Simulation(one.card_uid for one in questions if isinstance(one, Question))
            clock_trusted = clock.is_right(now)
            for question in tqdm(questions, desc="answers", leave=False, disable=None):
                answer = question
                if isinstance(question, Question):
                    answer = _answer(simulation, question, clock_trusted or not question.is_now)
                wrong += "error" in answer
                self.stdout.write(json.dumps(answer, ensure_ascii=False))
        if wrong:
            raise CommandError(f"Lines without an answer: {wrong} of {len(lines)}.")


@dataclass(frozen=True, slots=True)
class Question:
    """A line of a batch."""

    number: int
    card_uid: str
    device_id: str
    moment: dt.datetime
    is_now: bool


def _question(number: int, line: str, now: dt.datetime) -> Question | dict[str, Any]:
    """What a line asks, or the error that stands in its place."""
    card_uid, device_id, at, *_ = [*line.split(maxsplit=2), "", ""]
    try:
        if not device_id:
            raise ValueError("A line is 'UID DEVICE TIME'.")
        moment = _moment(at.strip()) if at else now
        return Question(number, uid.canonical(card_uid), device_id, moment, is_now=not at)
    except ValueError as error:
        return _no_answer(number, error)


def _answer(simulation: Simulation, question: Question, clock_trusted: bool) -> dict[str, Any]:
    card, door, moment = question.card_uid, question.device_id, question.moment
    try:
        decision = simulation.decide(card, door, moment, clock_trusted=clock_trusted)
    except NoDoor as error:
        return _no_answer(question.number, error)
    return {
        "card_uid": card,
        "device_id": door,
        "timestamp": utc_text(moment),
        "granted": decision.granted,
        "reason": str(decision.reason),
        "rule": decision.rule or None,
    }


def _no_answer(number: int, error: ValueError) -> dict[str, Any]:
    """Who only looks whether it was granted reads a refusal."""
    return {"granted": False, "reason": None, "rule": None, "line": number, "error": str(error)}


def _moment(text: str) -> dt.datetime:
    try:
        return parse_moment(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time with an offset, such as 2026-11-23T07:37:01+01:00."
        ) from None


def _holder(decision: Decision) -> str:
    return decision.credential.holder if decision.credential else "given to nobody"
