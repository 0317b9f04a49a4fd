"""Room: model. What is assumed agrees with what was given and with itself."""

from __future__ import annotations

from bisect import bisect
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phase1_docker_api.model.house_model import HouseModel

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "living_area_sqft": st.floats(300, 12_000),
    "bathrooms": st.sampled_from([0.75, 1, 2, 3.5]),
    "build_grade": st.integers(1, 13),
    "year_built": st.integers(1850, 2016),
    "effective_year_built": st.integers(1850, 2016),
    "waterfront": st.booleans(),
    "latitude": st.floats(47.4, 47.8),
    "longitude": st.floats(-122.5, -122.2),
    "neighborhood": st.sampled_from(["A12", "A45", "A80", "Z99"]),
    "property_type": st.sampled_from(["single_family", "townhouse"]),
}
REQUIRED = {"land_area_sqft": st.floats(500, 100_000), "bedrooms": st.integers(0, 12)}
PARTIAL = st.fixed_dictionaries(REQUIRED, optional=VALUES)
YEARS = {"year_built", "effective_year_built"}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request_=PARTIAL)
def test_no_assumed_house_is_impossible(linear_model: HouseModel, request_: dict[str, Any]) -> None:
    typical = linear_model.typical
    complete = typical.complete(request_)
    assumed = {name: value for name, value in complete.items() if name not in request_}

    assert {name: complete[name] for name in request_} == request_
    assert request_.keys() >= YEARS or complete["effective_year_built"] >= complete["year_built"]
    # All that is assumed is of one real house, but for a year that had to follow the one that was given.
    of_one = [house for house in typical.houses.values() if assumed.items() - years_of(assumed) <= house.items()]
    assert of_one
    if "neighborhood" not in request_ and "latitude" not in request_ and "living_area_sqft" in request_:
        edges = typical.living_edges_sqft
        bands = {bisect(edges, float(house["living_area_sqft"])) for house in of_one}
        assert bisect(edges, request_["living_area_sqft"]) in bands


def years_of(assumed: dict[str, Any]) -> set[tuple[str, Any]]:
    return {(name, assumed[name]) for name in YEARS & assumed.keys()}


def test_a_year_of_construction_alone_is_not_told_an_earlier_renovation(linear_model: HouseModel) -> None:
    for year in range(1900, 2016):
        complete = linear_model.typical.complete({"land_area_sqft": 5000, "bedrooms": 3, "year_built": year})
        assert complete["effective_year_built"] >= year


def test_a_big_house_is_not_told_the_grade_of_a_small_one(linear_model: HouseModel) -> None:
    small, big = (
        linear_model.typical.complete({"land_area_sqft": 8000, "bedrooms": 4, "living_area_sqft": size})
        for size in (900, 6000)
    )

    assert small["build_grade"] < big["build_grade"]
