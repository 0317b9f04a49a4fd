"""A share of callers reaches the candidate step by step, and a share that goes wrong leads back to none."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from phase1_docker_api.errors import SettingsError
from phase1_docker_api.settings import load_settings
from phase2_k8s_cicd.cluster.cluster import Cluster
from phase2_k8s_cicd.errors import RolloutError
from phase2_k8s_cicd.rollout.deploy import attempt
from phase2_k8s_cicd.rollout.limits import Plan
from phase2_k8s_cicd.rollout.probe import OfVersion, Report
from phase2_k8s_cicd.rollout.rollout import Rollout
from phase2_k8s_cicd.rollout.route import WeightedRoute
from phase2_k8s_cicd.testing import ToyPlace, ToyShiftingPlace, report

BOTH = report(v1=12, v2=12)
ALL = {5: BOTH, 25: BOTH, 100: report(v1=0.1, v2=12)}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phase2_k8s_cicd.rollout.rollout.time.sleep", lambda _: None)


def rollout_of(place: ToyPlace, plan: Plan | None = None) -> Rollout:
    return Rollout(place, "v2", plan or Plan(), print)


def with_version(name: str, found: Report, **changes: Any) -> Report:
    """The same report, with other figures of one version."""
    known = found.versions[name].model_dump() | changes
    return found.model_copy(update={"versions": found.versions | {name: OfVersion(**known)}})


def test_callers_are_shifted_by_steps_and_back_once_the_replicas_are_replaced() -> None:
    place = ToyShiftingPlace(at=ALL)
    rollout = rollout_of(place)

    said = rollout.run("[]", "[]")

    assert place.done == ["candidate", "5 %", "25 %", "100 %", "replaced", "0 %", "candidate gone"]
    assert rollout.shares == ALL
    assert said == "shifted by 5, 25, 100 % of callers, asked 200 times meanwhile, 0 lost, p99 10.0 ms"


def test_a_place_without_a_gateway_is_replaced_as_ever() -> None:
    place = ToyPlace()

    rollout_of(place).run("[]", "[]")

    assert place.done == ["candidate", "candidate gone", "replaced"]


def test_what_does_not_answer_at_all_has_no_callers_to_shift() -> None:
    dead = report(lost=200, p50_ms=0, p99_ms=0).model_copy(update={"ok": 0})
    place = ToyShiftingPlace(old=dead)

    rollout_of(place).run("[]", "[]")

    assert place.done == ["candidate", "candidate gone", "replaced"]


@pytest.mark.parametrize(
    ("percent", "found", "why"),
    [
        (5, report(lost=1, v1=12, v2=12), "at 5 % of callers: 1 of 200 answers were lost"),
        (25, report(v1=12), "at 25 % of callers: v2 never answered"),
        (
            25,
            with_version("v2", BOTH, p50_ms=11.1),
            "at 25 % of callers: v2 is too slow: half of its answers take 11.1",
        ),
        (
            25,
            with_version("v2", BOTH, p99_ms=80.1),
            "one answer in a hundred takes 80.1 ms or more, the old version 10.0",
        ),
        (100, report(v1=11, v2=12), "at 100 % of callers: v1 still answers at 100 %"),
    ],
)
def test_a_share_that_goes_wrong_leads_back_to_none_with_its_reason(percent: int, found: Report, why: str) -> None:
    place = ToyShiftingPlace(at=ALL | {percent: found})

    outcome = attempt(rollout_of(place), "[]", "[]", "ada")

    assert outcome.result == "undone"
    assert why in outcome.reason
    assert place.done[-3:] == [f"{percent} %", "0 %", "candidate gone"], "callers go first, the candidate then"
    assert outcome.shares[percent] == found


def test_a_few_answers_are_no_figures_to_judge_latency_by() -> None:
    few = with_version("v2", with_version("v2", BOTH, ok=19, p50_ms=500), p99_ms=900)

    rollout_of(ToyShiftingPlace(at=ALL | {5: few})).run("[]", "[]")


def test_every_limit_that_is_broken_is_named() -> None:
    slow = report(lost=1, p50_ms=11.1, p99_ms=80.1)
    worse = with_version("v2", report(lost=2, v1=12, v2=12), p50_ms=11.1, p99_ms=80.1)
    gone = report(lost=3, v1=12)

    candidate, share, replaced = (
        attempt(rollout_of(place), "[]", "[]", "ada").reason
        for place in (ToyPlace(new=slow), ToyShiftingPlace(at={5: worse}), ToyPlace(watched=gone))
    )

    for reason in (candidate, share):
        assert re.search("answers were lost.*too slow: half of its answers.*; one answer in a hundred", reason), reason
    assert re.search("3 of 200 .* were lost.*; v2 never answered.*; v1 still answers after it was replaced", replaced)
    assert "\n" not in candidate + share + replaced, "one line, as the history shows it"


def test_an_update_that_fails_at_the_end_sends_callers_back_before_the_replicas() -> None:
    place = ToyShiftingPlace(at=ALL, fails=RolloutError("not ready"))

    outcome = attempt(rollout_of(place), "[]", "[]", "ada")

    assert (outcome.result, outcome.reason) == ("undone", "not ready")
    assert place.done[-4:] == ["replaced", "0 %", "undone", "candidate gone"]


@pytest.mark.parametrize("steps", ["25,5", "5,5", "0,100", "5,101", "5;25", "some"])
def test_steps_that_do_not_grow_are_refused_by_their_variable(steps: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLOUT_STEPS", steps)

    with pytest.raises(SettingsError, match=f"^ROLLOUT_STEPS={steps}: "):
        load_settings(Plan)


def test_steps_are_those_of_the_plan() -> None:
    place = ToyShiftingPlace(at={50: BOTH})

    rollout_of(place, Plan(steps="50")).run("[]", "[]")

    assert [each for each in place.done if each.endswith("%")] == ["50 %", "0 %"]


class Routed(Cluster):
    """A cluster with one HTTPRoute of two rules, which its gateway accepts at the second look, or never."""

    route: dict[str, Any] | None
    accepts: bool

    def __init__(self, accepts: bool = True) -> None:
        super().__init__("routed", "https://127.0.0.1", "local")
        backends = [{"name": "champion", "port": 80}]
        route = {"metadata": {"generation": 1}, "spec": {"rules": [{"backendRefs": backends} for _ in range(2)]}}
        object.__setattr__(self, "route", route)
        object.__setattr__(self, "accepts", accepts)

    def get(self, kind: str, name: str) -> Any:
        assert (kind, name) == ("httproute", "houses")
        seen = json.loads(json.dumps(self.route))
        if self.route and self.accepts:
            accepted = {
                "type": "Accepted",
                "status": "True",
                "observedGeneration": self.route["metadata"]["generation"],
            }
            self.route["status"] = {"parents": [{"conditions": [accepted]}]}
        return seen

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 120) -> str:
        assert self.route
        for change in json.loads(arguments[-1].removeprefix("--patch=")):
            _, _, rules, number, field = change["path"].split("/")
            self.route["spec"][rules][int(number)][field] = change["value"]
        self.route["metadata"]["generation"] += 1
        return ""


def test_a_weighted_route_shares_callers_of_all_its_rules_between_two_services() -> None:
    cluster = Routed()
    route = WeightedRoute(cluster, "houses", serving="champion", candidate="challenger")
    seen = []

    for percent in (5, 100, 0):
        route.shift(percent)
        assert cluster.route
        first, second = (rule["backendRefs"] for rule in cluster.route["spec"]["rules"])
        assert first == second
        for rule in cluster.route["spec"]["rules"]:
            assert rule["filters"][0]["responseHeaderModifier"]["set"][-1]["value"] == str(percent)
        seen.append({backend["name"]: backend["weight"] for backend in first})

    assert seen == [{"champion": 95, "challenger": 5}, {"champion": 0, "challenger": 100}, {"champion": 100}]


def test_a_route_that_no_gateway_accepts_or_that_is_not_there_ends_a_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phase2_k8s_cicd.rollout.route.ACCEPT_SECONDS", 0)
    cluster = Routed(accepts=False)
    route = WeightedRoute(cluster, "houses", serving="champion", candidate="challenger")

    with pytest.raises(RolloutError, match="no gateway accepted 5 % of httproute/houses"):
        route.shift(5)
    object.__setattr__(cluster, "route", None)
    with pytest.raises(RolloutError, match="there is no httproute/houses in namespace house-price"):
        route.shift(5)
