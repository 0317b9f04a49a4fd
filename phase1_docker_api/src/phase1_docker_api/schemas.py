"""The one source of field names, units and limits: a house, a sale, an estimate and a refusal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, create_model


def whole_number(value: object) -> object:
    """Let 3.0 pass for 3, as JSON does; strings and booleans stay what they are and are refused."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def unit(name: str) -> dict[str, Any]:
    """Name a field's unit where documents, messages and later phases can read it."""
    return {"unit": name}


LandArea = Annotated[float, Field(ge=200, le=10_000_000, json_schema_extra=unit("sqft"))]
# A lower limit of 300 sqft is also a unit check: most houses given in m² fall below it.
LivingArea = Annotated[float, Field(ge=300, le=100_000, json_schema_extra=unit("sqft"))]
Bedrooms = Annotated[int, Field(ge=0, le=20, json_schema_extra=unit("count")), BeforeValidator(whole_number)]
Bathrooms = Annotated[float, Field(ge=0, le=20, json_schema_extra=unit("count"))]
Grade = Annotated[int, Field(ge=1, le=13, json_schema_extra=unit("grade")), BeforeValidator(whole_number)]


def zero_or_one(value: object) -> object:
    """Let 0 and 1 pass for false and true, as files of sales and data frames have them."""
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else value


Year = Annotated[int, Field(ge=1700, le=2100, json_schema_extra=unit("year")), BeforeValidator(whole_number)]
Latitude = Annotated[float, Field(ge=-90, le=90, json_schema_extra=unit("degrees"))]
Longitude = Annotated[float, Field(ge=-180, le=180, json_schema_extra=unit("degrees"))]
Flag = Annotated[bool, BeforeValidator(zero_or_one), WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}]})]
Category = Annotated[str, Field(min_length=1, max_length=64)]
Usd = Annotated[float, Field(ge=10_000, le=1_000_000_000, json_schema_extra=unit("USD"))]


class House(BaseModel):
    """One house as it stood on the day of sale; the model sees these fields and no others."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"land_area_sqft": 5000, "bedrooms": 3}]},
    )

    land_area_sqft: LandArea = Field(description="Area of the lot.", examples=[5000])
    bedrooms: Bedrooms = Field(description="Number of bedrooms.", examples=[3])
    living_area_sqft: LivingArea | None = Field(None, description="Finished floor area.", examples=[1800])
    bathrooms: Bathrooms | None = Field(
        None, description="Number of bathrooms; 0.75 is one without a tub.", examples=[2]
    )
    build_grade: Grade | None = Field(
        None, description="Assessor's grade of construction: 7 is average, 13 a mansion.", examples=[7]
    )
    year_built: Year | None = Field(None, description="Year of construction.", examples=[1948])
    effective_year_built: Year | None = Field(
        None, description="Year of the last major renovation, else of construction.", examples=[1975]
    )
    waterfront: Flag | None = Field(None, description="Whether the lot touches water.", examples=[False])
    latitude: Latitude | None = Field(None, description="North is positive.", examples=[47.661])
    longitude: Longitude | None = Field(None, description="East is positive.", examples=[-122.317])
    neighborhood: Category | None = Field(None, description="The assessor's area.", examples=["A12"])
    property_type: Category | None = Field(None, description="Kind of house.", examples=["single_family"])


class Sale(House):
    """One recorded sale: a house, its price and its day; a row of a sales file must be one of these."""

    model_config = ConfigDict(extra="ignore")

    sale_date: dt.date = Field(
        ge=dt.date(1900, 1, 1), le=dt.date(2100, 1, 1), description="Day of the sale, as 2011-12-31."
    )
    price: Usd = Field(description="Price paid.")
    sale_id: Category | None = Field(None, description="Unique name of the sale.")
    property_id: Category | None = Field(None, description="Name of the parcel, the same at each resale.")


MINIMAL_EXAMPLE: dict[str, Any] = {"land_area_sqft": 5000, "bedrooms": 3}
FULL_EXAMPLE: dict[str, Any] = {name: field.examples[0] for name, field in House.model_fields.items() if field.examples}
REQUIRED_FIELDS = tuple(name for name, field in House.model_fields.items() if field.is_required())
OPTIONAL_FIELDS = tuple(name for name in House.model_fields if name not in REQUIRED_FIELDS)
CATEGORIES = ("neighborhood", "property_type")
UNITS: dict[str, str] = {
    name: spec["unit"]
    for name, schema in Sale.model_json_schema()["properties"].items()
    for spec in schema.get("anyOf", [schema])
    if "unit" in spec
}

Given = bool | int | float | str
# A house's fields after they were checked.
Fields = Mapping[str, Given | None]
MAX_BATCH_ROWS = 10_000
# Half of that a request, by callers of our own: with long names of areas it stays below the limit of bytes too.
PART_ROWS = MAX_BATCH_ROWS // 2


class Interval(BaseModel):
    """The range in which this share (`level`) of the calibration sales fell, in USD."""

    low: float = Field(json_schema_extra=unit("USD"))
    high: float = Field(json_schema_extra=unit("USD"))
    level: float = Field(gt=0, lt=1, examples=[0.9])


class Warned(BaseModel):
    """Something about the request that makes the estimate less trustworthy; it was answered all the same."""

    field: str
    code: str = Field(description="unknown_category, outside_training_range, not_used_by_model or context_last_known")
    message: str


class Estimate(BaseModel):
    """What the model says of one house."""

    price_usd: float = Field(json_schema_extra=unit("USD"))
    interval_usd: Interval
    model_version: str
    assumed: dict[str, Given] = Field(
        description="Fields the request left out, with the values of a typical house that stood in for them."
    )
    warnings: list[Warned]


class HouseRecords(BaseModel):
    """Many houses, one object each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    houses: list[House] = Field(min_length=1, max_length=MAX_BATCH_ROWS)


def _column(name: str, one: Any) -> Any:
    column = Annotated[list[one], Field(min_length=1, max_length=MAX_BATCH_ROWS)]
    return column if name in REQUIRED_FIELDS else (column | None, None)


Columns: type[BaseModel] = create_model(
    "Columns",
    __config__=House.model_config | {"json_schema_extra": None},
    **{
        name: _column(name, one)
        for name, one in get_type_hints(House, include_extras=True).items()
        if name in House.model_fields
    },
)


class HouseColumns(BaseModel):
    """Many houses, one list of equal length a field: smaller to send, and what data frames export."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: Columns = Field(examples=[{"land_area_sqft": [5000, 4000], "bedrooms": [3, 2]}])


class Estimates(BaseModel):
    """What the model says of many houses, in the order they came."""

    model_version: str
    estimates: list[Estimate]


class Problem(BaseModel):
    """One thing to mend in a request."""

    field: str
    problem: str
    hint: str


class Refused(BaseModel):
    """What the service says when it does not answer a request. Broken HTTP alone gets a plain 400 from the server."""

    problems: list[Problem]
    request_id: str
