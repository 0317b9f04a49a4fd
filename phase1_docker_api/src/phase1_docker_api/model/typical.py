"""Fill what a request leaves out with the values of a typical house of the training data."""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import cos, radians
from statistics import fmean, quantiles

from pydantic import BaseModel, ConfigDict

from phase1_docker_api.schemas import Given

Record = dict[str, Given]

LAND_BANDS = 8
MIN_HOUSES = 10
ANY = "*"


class TypicalHouses(BaseModel):
    """Real houses, each the one in the middle of its group when the group is ordered by predicted price.

    Groups are "area|bedrooms|band of land area", from fine to coarse, with `*` for any. A whole house
    stands in rather than a median a field, because medians together make a house that exists nowhere:
    with land area and bedrooms alone the error in 2012 is 25 % this way and 28 % with medians.
    """

    model_config = ConfigDict(frozen=True)

    land_edges_sqft: list[float]
    houses: dict[str, Record]
    area_centres: dict[str, tuple[float, float]]

    def complete(self, given: Mapping[str, Given]) -> Record:
        """Add a value for each field of the model that `given` lacks; what is given stays."""
        area = given.get("neighborhood") or self._nearest_area(given)
        for key in _groups(area, float(given["bedrooms"]), self._band(given)):
            if key in self.houses:
                return {**self.houses[key], **given}
        raise AssertionError("the group of all houses is always there")

    def _band(self, given: Mapping[str, Given]) -> int:
        return bisect(self.land_edges_sqft, float(given["land_area_sqft"]))

    def _nearest_area(self, given: Mapping[str, Given]) -> str | None:
        if "latitude" not in given or "longitude" not in given or not self.area_centres:
            return None
        latitude, longitude = float(given["latitude"]), float(given["longitude"])
        # A degree of longitude is shorter than one of latitude, by the cosine of the latitude.
        shrink = cos(radians(latitude)) ** 2
        return min(
            self.area_centres,
            key=lambda a: (
                (self.area_centres[a][0] - latitude) ** 2 + shrink * (self.area_centres[a][1] - longitude) ** 2
            ),
        )


def choose_typical_houses(records: Sequence[Record], log_prices: Sequence[float]) -> TypicalHouses:
    """Choose the house at the median of the predicted log prices of every group of 10 or more.

    `records` are complete; `log_prices` has one value a record.
    """
    edges = quantiles((float(r["land_area_sqft"]) for r in records), n=LAND_BANDS)
    members: dict[str, list[int]] = defaultdict(list)
    for index, record in enumerate(records):
        band = bisect(edges, float(record["land_area_sqft"]))
        for area in {None, record.get("neighborhood")}:
            for key in _groups(area, float(record["bedrooms"]), band):
                members[key].append(index)
    return TypicalHouses(
        land_edges_sqft=edges,
        houses={
            key: dict(records[_median_of(indices, log_prices)])
            for key, indices in sorted(members.items())
            if len(indices) >= MIN_HOUSES or key == _ALL
        },
        area_centres=_centres(records),
    )


_ALL = f"{ANY}|{ANY}|{ANY}"


def _groups(area: Given | None, bedrooms: float, band: int) -> list[str]:
    """Name the groups a house belongs to, the most telling first."""
    rooms = min(max(int(bedrooms), 1), 6)
    if area is None:
        return [f"{ANY}|{rooms}|{band}", f"{ANY}|{ANY}|{band}", _ALL]
    return [f"{area}|{rooms}|{ANY}", f"{area}|{ANY}|{ANY}", _ALL]


def _median_of(indices: list[int], log_prices: Sequence[float]) -> int:
    return sorted(indices, key=lambda i: (log_prices[i], i))[(len(indices) - 1) // 2]


def _centres(records: Sequence[Record]) -> dict[str, tuple[float, float]]:
    places: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for record in records:
        if {"neighborhood", "latitude", "longitude"} <= record.keys():
            places[str(record["neighborhood"])].append((float(record["latitude"]), float(record["longitude"])))
    return {
        area: (round(fmean(p[0] for p in points), 4), round(fmean(p[1] for p in points), 4))
        for area, points in sorted(places.items())
    }
