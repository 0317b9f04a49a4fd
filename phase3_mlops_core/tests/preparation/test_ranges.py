"""The ranges that quarantine a month whole: what they let pass in months that nothing is wrong with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from phase3_mlops_core.preparation.ranges import read_ranges, why_held
from phase3_mlops_core.testing_spark import UNIT_FAULTS


def is_held(month: pd.DataFrame) -> bool:
    ranges = read_ranges()
    outside = {
        name: int(((month[name] < (wanted.low or -np.inf)) | (month[name] > (wanted.high or np.inf))).sum())
        for name, wanted in ranges.fields.items()
        if wanted.low is not None
    }
    return why_held(ranges, len(month), outside) is not None


def drawn(sales: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A month like a real one: its sales drawn again, with replacement."""
    months = sales["sale_date"].dt.to_period("M")
    rng = np.random.default_rng(seed)
    month = sales[months == rng.choice(months.unique())]
    return month.iloc[rng.integers(0, len(month), len(month))]


def test_of_a_hundred_clean_months_at_most_one_is_quarantined(seattle_sales: pd.DataFrame) -> None:
    held = [seed for seed in range(100) if is_held(drawn(seattle_sales, seed))]

    assert len(held) <= 1


@pytest.mark.parametrize("fault", UNIT_FAULTS)
def test_each_of_a_hundred_months_in_a_wrong_unit_is_quarantined(fault: str, seattle_sales: pd.DataFrame) -> None:
    _, spoil = UNIT_FAULTS[fault]

    assert all(is_held(spoil(drawn(seattle_sales, seed))) for seed in range(100))
