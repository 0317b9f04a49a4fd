"""Rules that need the other sales: one sale recorded twice. They depend on which rows there are, not on their order."""

from __future__ import annotations

import pandas as pd

from phase1_docker_api.schemas import Sale

REPEAT_DAYS = 31
SAME_ID = "sale_id: seen before"
SAME_DAY = "property_id: second record of one day"
SAME_PRICE = f"property_id: same price within {REPEAT_DAYS} days"
# Whatever order rows come in, this is theirs: by day, by sale_id, then by what they say. A gap comes last.
ORDER = list(dict.fromkeys(["sale_date", "sale_id", *Sale.model_fields]))


def in_order(valid: pd.DataFrame) -> pd.DataFrame:
    """Sort rows as `check_rows` gives them by day, `sale_id` and content, never by their place in a file."""
    tied = valid.duplicated(ORDER[:2]).any()
    return valid.sort_values(ORDER if tied else ORDER[:2], kind="stable")


def refuse_repeats(valid: pd.DataFrame) -> pd.Series:
    """Say of each valid row, by its index, why it repeats another one; None of a row that is kept.

    `valid` holds every row that the rules on one row let pass, old and new, in any order, with an index without
    repeats. "Before" means the order of `sale_date`, then `sale_id`, then the other columns as `Sale` lists them;
    numbers by size, text by code points, false before true, gaps last. Rows equal in all of this are one and the
    same: which of them is kept makes no difference. Three rules, each among the rows that the rules before it kept:

    1. A row is refused if a row before it has the same `sale_id`. A gap equals nothing.
       SQL: `row_number() over (partition by sale_id order by sale_date, price, …) > 1`.
    2. A row is refused if a row before it has the same `property_id` and `sale_date`. A gap equals nothing.
       SQL: `row_number() over (partition by property_id, sale_date order by sale_id, …) > 1`.
    3. A row is refused if the nearest row before it with the same `property_id` and `price` is at most 31 days
       older, whether this rule keeps that row or not: three records 20 days apart are one sale.
       SQL: `datediff(sale_date, lag(sale_date) over (partition by property_id, price order by sale_date)) <= 31`.
    """
    reasons = pd.Series([None] * len(valid), index=valid.index, dtype=object)
    rest = in_order(valid)
    for reason, is_repeat in ((SAME_ID, _same_id), (SAME_DAY, _same_day), (SAME_PRICE, _same_price_soon)):
        repeats = is_repeat(rest)
        reasons[rest.index[repeats]] = reason
        rest = rest[~repeats]
    return reasons


def changed_months(new: pd.DataFrame, history: pd.DataFrame) -> list[str]:
    """Name the months, such as 2014-10, whose kept rows may differ once the valid rows `new` join `history`.

    A row changes what is kept on its own day and on the 31 days after it: its own month and one or two more. A row
    with the `sale_id` of an earlier received one can do the same around that one's day. No other row is touched.
    """
    renamed = history["sale_id"].notna() & history["sale_id"].isin(new["sale_id"])
    days = pd.concat([new["sale_date"], history.loc[renamed, "sale_date"]]).drop_duplicates()
    return sorted(
        {month for after in range(REPEAT_DAYS + 1) for month in (days + pd.Timedelta(days=after)).dt.strftime("%Y-%m")}
    )


def _same_id(rows: pd.DataFrame) -> pd.Series:
    return rows["sale_id"].notna() & rows.duplicated("sale_id")


def _same_day(rows: pd.DataFrame) -> pd.Series:
    return rows["property_id"].notna() & rows.duplicated(["property_id", "sale_date"])


def _same_price_soon(rows: pd.DataFrame) -> pd.Series:
    # Rows without a parcel are in no group, and the day before them is a gap.
    before = rows.groupby(["property_id", "price"])["sale_date"].shift()
    return rows["sale_date"] - before <= pd.Timedelta(days=REPEAT_DAYS)
