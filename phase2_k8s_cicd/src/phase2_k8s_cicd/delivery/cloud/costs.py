"""What a plan would cost: what it leaves standing, counted in Terraform's own JSON, times list prices from a table."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phase1_docker_api.errors import CourseError

from phase2_k8s_cicd.delivery.cloud.terraform import resources_of

HOURS_A_MONTH = 730
# What depends on use is assumed: a cluster that a few people try things on.
LOGS_GB_A_DAY = 0.5
IMAGES_GB = 1.0
NAT_GB_A_DAY = 1.0
# AWS takes nothing for these, or it is counted with what they belong to.
FREE = {
    "aws_cloudwatch_log_group",
    "aws_default_security_group",
    "aws_ecr_lifecycle_policy",
    "aws_eks_access_entry",
    "aws_eks_addon",
    "aws_iam_openid_connect_provider",
    "aws_iam_role",
    "aws_iam_role_policy",
    "aws_iam_role_policy_attachment",
    "aws_internet_gateway",
    "aws_kms_alias",
    "aws_launch_template",
    "aws_route",
    "aws_route_table",
    "aws_route_table_association",
    "aws_subnet",
    "aws_vpc",
    "aws_vpc_endpoint",
}
PRICED = {"aws_ecr_repository", "aws_eip", "aws_eks_cluster", "aws_eks_node_group", "aws_kms_key", "aws_nat_gateway"}
Resource = Mapping[str, Any]


@dataclass(frozen=True)
class Prices:
    """One region's list prices, brought to USD an hour."""

    region: str
    as_of: str
    usd_an_hour: Mapping[str, float]

    def of(self, item: str) -> float:
        """Give the price of one item for an hour.

        Raises:
            CourseError: the table has no such item.

        """
        if item not in self.usd_an_hour:
            raise CourseError(f"infra/aws/prices.csv has no price for {item}: add a line, with its source")
        return self.usd_an_hour[item]


@dataclass(frozen=True)
class Cost:
    """One line of the bill."""

    what: str
    usd_an_hour: float


def read_prices(path: Path, region: str) -> Prices:
    """Read one column of the table of prices.

    Raises:
        CourseError: the table does not know the region.

    """
    lines = path.read_text().splitlines()
    dated = re.search(r"as of (\d{4}-\d{2}-\d{2})", lines[0])
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    if region not in rows[0] or dated is None:
        known = ", ".join(list(rows[0])[2:-1])
        raise CourseError(f"infra/aws/prices.csv knows {known}, not {region}: add a column, or choose one of these")
    hours = {"hour": 1, "month": HOURS_A_MONTH, "once": 24}  # once: what is taken in, told here by the day
    return Prices(region, dated[1], {row["item"]: float(row[region]) / hours[row["unit"]] for row in rows})


def costs_of(plan: Mapping[str, Any], prices: Prices) -> list[Cost]:
    """Count what a plan's JSON (`terraform show -json`) leaves standing.

    Raises:
        CourseError: something in it has no price.

    """
    resources = list(resources_of(plan["planned_values"]["root_module"]))
    count = Counter(each["type"] for each in resources)
    if unknown := count.keys() - FREE - PRICED:
        raise CourseError(f"what {', '.join(sorted(unknown))} costs is not known here: tell costs.py")
    return [
        *_each(count["aws_eks_cluster"], "EKS control plane", prices),
        *_machines(resources, prices),
        *_each(count["aws_nat_gateway"], "NAT gateway", prices),
        *_each(count["aws_eip"] + _public_machines(resources), "public IPv4 address", prices),
        *_each(count["aws_kms_key"], "KMS key", prices),
        *_each(count["aws_ecr_repository"] * IMAGES_GB, "GB of images", prices, " (assumed)"),
        *_each(count["aws_eks_cluster"] * LOGS_GB_A_DAY, "GB of logs taken in", prices, " a day (assumed)"),
        *_each(count["aws_nat_gateway"] * NAT_GB_A_DAY, "GB through a NAT gateway", prices, " a day (assumed)"),
    ]


def _each(number: float, item: str, prices: Prices, remark: str = "") -> list[Cost]:
    return [Cost(f"{number:g} × {item}{remark}", number * prices.of(item))] if number else []


def _machines(resources: Sequence[Resource], prices: Prices) -> Iterator[Cost]:
    """Count each group's machines at its dearest type, and their disks."""
    disks = [each["values"]["block_device_mappings"] for each in _of_type(resources, "aws_launch_template")]
    for group in _of_type(resources, "aws_eks_node_group"):
        values = group["values"]
        number = values["scaling_config"][0]["desired_size"]
        dearest = max(values["instance_types"], key=prices.of)
        spot = ", at most" if values["capacity_type"] == "SPOT" else ""
        yield from _each(number, dearest, prices, spot)
        for (mapping,) in disks:
            yield from _each(number * mapping["ebs"][0]["volume_size"], "GB of disk (gp3)", prices)


def _public_machines(resources: Sequence[Resource]) -> int:
    """Count the machines that get a public address: all, where subnets give them, for then nodes sit there."""
    if not any(each["values"]["map_public_ip_on_launch"] for each in _of_type(resources, "aws_subnet")):
        return 0
    groups = _of_type(resources, "aws_eks_node_group")
    return sum(group["values"]["scaling_config"][0]["desired_size"] for group in groups)


def _of_type(resources: Sequence[Resource], kind: str) -> list[Resource]:
    return [each for each in resources if each["type"] == kind]


def table(costs: Sequence[Cost], prices: Prices) -> str:
    """Lay the bill out: USD an hour, a day and a month."""
    total = Cost("total", sum(cost.usd_an_hour for cost in costs))
    rows = [
        f"  {cost.what:<44}{cost.usd_an_hour:>9.3f}{24 * cost.usd_an_hour:>9.2f}"
        f"{HOURS_A_MONTH * cost.usd_an_hour:>10.2f}"
        for cost in (*costs, total)
    ]
    notes = [f"List prices of {prices.region} as of {prices.as_of} (infra/aws/prices.csv), without tax: check them."]
    if any("at most" in cost.what for cost in costs):
        notes.append("Spot machines are counted at the full price; they usually cost less than half of it.")
    notes.append("Not counted: traffic to the internet and between zones, and what you make in Kubernetes yourself.")
    head = f"  {'USD':<44}{'an hour':>9}{'a day':>9}{'a month':>10}"
    return "\n".join([head, *rows, *(f"  {note}" for note in notes)])
