"""Cleaning gives the same table in whatever order and pieces the rows come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phase1_docker_api.schemas import Sale
from phase1_docker_api.testing import SEATTLE
from phase1_docker_api.training.reading import read_sales
from phase1_docker_api.training.row_rules import check_rows
from phase1_docker_api.training.sales import Arrival, clean_sales, clean_with_history

TODAY = dt.date(2017, 1, 1)
GOOD = {"property_id": "P", "price": 500_000, "land_area_sqft": 5000, "bedrooms": 3}
# Few parcels, prices, names and days, so that most rows repeat another one in some way.
DAYS = [dt.date(2014, 1, 1) + dt.timedelta(days=days) for days in (0, 1, 20, 30, 31, 32, 50, 61, 90)]
ROWS = st.fixed_dictionaries(
    {
        "sale_id": st.sampled_from([None, "1", "2", "3", "4", "5"]),
        "property_id": st.sampled_from([None, "P", "Q"]),
        "sale_date": st.sampled_from(DAYS),
        "price": st.sampled_from([500, 400_000, 500_000]),
        "land_area_sqft": st.sampled_from([4000, 5000]),
        "bedrooms": st.just(3),
        "waterfront": st.sampled_from([None, True, False]),
        "neighborhood": st.sampled_from([None, "A1", "A2"]),
    }
)


def received(pieces: Iterable[pd.DataFrame]) -> list[Arrival]:
    arrivals: list[Arrival] = []
    for piece in pieces:
        history = arrivals[-1].valid if arrivals else None
        arrivals.append(clean_with_history(piece, history, TODAY))
    return arrivals


def frame_of(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, dtype=object)


def verdicts(valid: pd.DataFrame) -> list[tuple[str, ...]]:
    return sorted(tuple(map(str, row)) for row in valid.itertuples(index=False))


def kept_by_month(arrival: Arrival) -> dict[str, list[tuple[str, ...]]]:
    kept = arrival.valid[arrival.valid["reason"].isna()]
    return {str(month): verdicts(rows) for month, rows in kept.groupby(kept["sale_date"].dt.strftime("%Y-%m"))}


@settings(max_examples=25, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=20), st.data())
def test_any_order_and_any_pieces_give_the_table_of_the_whole(
    rows: list[dict[str, object]], data: st.DataObject
) -> None:
    shuffled = frame_of(data.draw(st.permutations(rows)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    borders = zip([0, *cuts], [*cuts, len(rows)], strict=True)

    pieces = received(shuffled.iloc[start:stop] for start, stop in borders)

    whole = received([frame_of(rows)])[-1]
    assert verdicts(pieces[-1].valid) == verdicts(whole.valid)
    pd.testing.assert_frame_equal(pieces[-1].clean, whole.clean)


@settings(max_examples=25, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=15), st.lists(ROWS, min_size=1, max_size=3))
def test_a_late_file_changes_no_month_but_those_it_names(
    early: list[dict[str, object]], late: list[dict[str, object]]
) -> None:
    before, after = received([frame_of(early), frame_of(late)])

    was, became = kept_by_month(before), kept_by_month(after)
    changed = {month for month in was | became if was.get(month) != became.get(month)}
    assert changed <= set(after.changed_months)


def test_a_late_sale_is_kept_and_the_record_after_it_goes() -> None:
    january, march = (
        frame_of([{**GOOD, "sale_id": name, "sale_date": day}])
        for name, day in (("b", "2014-01-31"), ("a", "2014-03-03"))
    )

    first, second = received([march, january])

    assert first.clean["sale_id"].tolist() == ["a"]
    assert second.clean["sale_id"].tolist() == ["b"]
    assert second.changed_months == ["2014-01", "2014-02", "2014-03"]


def test_a_late_sale_under_a_name_in_use_changes_the_month_of_that_name() -> None:
    june = [{"sale_id": "1", "sale_date": "2014-06-01"}, {"sale_id": "2", "sale_date": "2014-06-11"}]
    january = {"sale_id": "1", "sale_date": "2014-01-01", "property_id": "Q"}

    first, second = received([frame_of([GOOD | row for row in june]), frame_of([GOOD | january])])

    assert first.clean["sale_date"].dt.strftime("%m-%d").tolist() == ["06-01"]
    assert second.clean["sale_date"].dt.strftime("%m-%d").tolist() == ["01-01", "06-11"]
    assert second.changed_months == ["2014-01", "2014-02", "2014-06", "2014-07"]


def test_the_seattle_file_shuffled_or_by_years_in_any_order_gives_the_same_table() -> None:
    raw = read_sales(SEATTLE)
    whole = clean_sales(raw, TODAY)
    years = [piece for _, piece in raw.groupby(pd.to_datetime(raw["sale_date"]).dt.year)]

    shuffled = clean_sales(raw.sample(frac=1, random_state=1), TODAY)
    by_year = received(years[::-2] + years[-2::-2])[-1]

    assert whole.counts == shuffled.counts
    assert whole.rules == shuffled.rules
    pd.testing.assert_frame_equal(shuffled.clean, whole.clean)
    pd.testing.assert_frame_equal(by_year.clean, whole.clean)
    assert sorted(shuffled.refused["sale_id"]) == sorted(whole.refused["sale_id"])


@pytest.mark.parametrize("rows", [1, 2])
def test_rows_without_any_name_are_all_kept(rows: int) -> None:
    cleaned = clean_sales(frame_of([{**GOOD, "property_id": None, "sale_date": "2014-01-01"}] * rows), TODAY)

    assert len(cleaned.clean) == rows


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.sampled_from(list(Sale.model_fields)), st.one_of(st.none(), st.floats(), st.text(max_size=70)))
)
def test_a_column_at_a_time_refuses_what_sale_refuses(cells: dict[str, object]) -> None:
    row = {**GOOD, "sale_date": "2014-01-01"} | cells

    valid, faults = check_rows(frame_of([row]), TODAY)

    assert (len(valid), bool(faults)) in ((1, False), (0, True))
    for sale in valid.astype(object).where(valid.notna(), None).to_dict("records"):
        Sale.model_validate({**sale, "sale_date": sale["sale_date"].date()})
