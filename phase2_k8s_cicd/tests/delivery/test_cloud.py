"""Room: cloud. What can be known without Terraform: prices, policies, and what is said when something is missing."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from phase1_docker_api.errors import CourseError
from phase2_k8s_cicd.cluster.workload import HOUSE_PRICE_API
from phase2_k8s_cicd.delivery.cloud.costs import costs_of, read_prices, table
from phase2_k8s_cicd.delivery.cloud.terraform import THERE, Terraform

NAMESPACES = HOUSE_PRICE_API.namespaces
ROOT = Path(__file__).parents[3]
AWS = ROOT / "infra/aws"
PRICES = AWS / "prices.csv"
ROWS = list(csv.DictReader(line for line in PRICES.read_text().splitlines() if not line.startswith("#")))
REGIONS = list(ROWS[0])[2:-1]


def plan(*resources: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A plan's JSON with these resources, in a module as ours are."""
    listed = [{"mode": "managed", "type": kind, "values": values} for kind, values in resources]
    return {"planned_values": {"root_module": {"child_modules": [{"resources": listed}]}}}


def group(number: int, *types: str, capacity: str = "ON_DEMAND") -> tuple[str, dict[str, Any]]:
    scaling = [{"desired_size": number}]
    return "aws_eks_node_group", {"instance_types": types, "capacity_type": capacity, "scaling_config": scaling}


def disk(gib: int) -> tuple[str, dict[str, Any]]:
    return "aws_launch_template", {"block_device_mappings": [{"ebs": [{"volume_size": gib}]}]}


def an_hour(*resources: tuple[str, dict[str, Any]]) -> float:
    return sum(cost.usd_an_hour for cost in costs_of(plan(*resources), read_prices(PRICES, "us-east-1")))


def test_machines_are_counted_at_the_dearest_type_of_their_group() -> None:
    assert an_hour(group(2, "t3a.medium", "t3.medium")) == pytest.approx(2 * 0.0416)


def test_a_disk_is_counted_for_each_machine_and_a_month_has_730_hours() -> None:
    assert an_hour(group(3, "m6i.large"), disk(40)) == pytest.approx(3 * 0.096 + 120 * 0.08 / 730)


def test_machines_in_public_subnets_pay_for_their_addresses() -> None:
    private, public = ({"map_public_ip_on_launch": is_public} for is_public in (False, True))

    assert an_hour(group(2, "t3.medium"), ("aws_subnet", public)) == pytest.approx(2 * 0.0416 + 2 * 0.005)
    assert an_hour(group(2, "t3.medium"), ("aws_subnet", private)) == pytest.approx(2 * 0.0416)


def test_what_has_no_known_price_is_an_error_and_never_free() -> None:
    with pytest.raises(CourseError, match="aws_db_instance"):
        an_hour(("aws_db_instance", {}))
    with pytest.raises(CourseError, match=r"no price for x1e\.32xlarge"):
        an_hour(group(1, "x1e.32xlarge"))


def test_a_region_that_is_not_in_the_table_is_named_with_those_that_are() -> None:
    with pytest.raises(CourseError, match="us-east-1, eu-west-1, ap-southeast-1, not mars-1"):
        read_prices(PRICES, "mars-1")


def test_the_bill_says_of_when_its_prices_are_and_that_spot_is_counted_in_full() -> None:
    prices = read_prices(PRICES, "eu-west-1")

    shown = table(costs_of(plan(("aws_eks_cluster", {}), group(2, "t3.medium", capacity="SPOT")), prices), prices)

    assert f"as of {prices.as_of}" in shown
    assert dt.date.fromisoformat(prices.as_of)
    assert "2 × t3.medium, at most" in shown
    assert "Spot machines are counted at the full price" in shown


def test_each_price_has_a_source_a_unit_and_an_amount_in_each_region() -> None:
    for row in ROWS:
        assert re.fullmatch(r"https://aws\.amazon\.com/[a-z0-9/-]+/pricing/([a-z-]+/)?", row["source"]), row
        assert row["unit"] in ("hour", "month", "once"), row
        assert all(0 < float(row[region]) < 5 for region in REGIONS), row


@pytest.mark.parametrize("page", ["cloud.md", "cloud.id.md"])
def test_the_prices_of_the_page_are_those_of_the_table(page: str) -> None:
    text = (ROOT / "docs/phase2" / page).read_text()

    shown = re.findall(r"^\| ([\w. ()-]+) \| [^|]+ \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE)

    assert {row["item"]: [float(row[region]) for region in REGIONS] for row in ROWS} == {
        item: [float(price) for price in prices] for item, *prices in shown
    }


def test_the_learners_policy_names_services_and_passes_roles_to_two_of_them_only() -> None:
    statements = json.loads((AWS / "learner-policy.json").read_text())["Statement"]
    passing = [each for each in statements if "iam:PassRole" in each["Action"]]

    assert all(
        re.fullmatch(r"[a-z0-9]+:(\*|[A-Z]\w+)", a) for s in statements for a in [s["Action"]] if isinstance(a, str)
    )
    assert not any("iam:*" in each["Action"] or "*" in each["Action"] for each in statements)
    assert [each["Condition"]["StringEquals"]["iam:PassedToService"] for each in passing] == [
        ["eks.amazonaws.com", "ec2.amazonaws.com"]
    ]


def rendered(overlay: str) -> list[dict[str, Any]]:
    command = [ROOT / "scripts/kustomize.sh", ROOT / "phase2_k8s_cicd/k8s/overlays" / overlay]
    return list(yaml.safe_load_all(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_the_pipeline_may_apply_each_object_of_its_overlay_and_finds_its_namespace_as_it_is(overlay: str) -> None:
    ours = list(yaml.safe_load_all((AWS / "deployers.yaml").read_text()))
    (role,) = (each for each in ours if each["kind"] == "ClusterRole")
    may = {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }

    objects = rendered(overlay)

    for each in objects:
        group = each["apiVersion"].rpartition("/")[0]
        verbs = may[group, f"{each['kind'].lower()}s"]
        assert (
            verbs == {"get"}
            if each["kind"] == "Namespace"
            else {"get", "list", "watch", "create", "patch", "delete"} <= verbs
        )
    (namespace,) = (each for each in objects if each["kind"] == "Namespace")
    assert namespace in ours, "else a rollout would want to change it, and may not"
    assert namespace["metadata"]["name"] == NAMESPACES[overlay]
    assert not {"secrets", "roles", "rolebindings", "pods/exec"} & {resource for _, resource in may}
    bound = {
        each["metadata"]["namespace"]: each["subjects"][0]["name"] for each in ours if each["kind"] == "RoleBinding"
    }
    assert bound[NAMESPACES[overlay]] == f"{NAMESPACES[overlay]}-deployers", "as modules/github_oidc calls the group"


def test_a_failure_because_something_is_there_already_names_what() -> None:
    said = """
Error: creating EC2 Launch Template (x): AlreadyExistsException: in use

  with module.a.aws_launch_template.b,
  on main.tf line 1, in resource

Error: creating VPC: UnauthorizedOperation

  with module.a.aws_vpc.c,
  on main.tf line 2, in resource

Error: creating IAM Role (y): EntityAlreadyExists: no

  with module.a.aws_iam_role.d["e"],
  on main.tf line 3, in resource
"""

    assert THERE.findall(said) == ["module.a.aws_launch_template.b", 'module.a.aws_iam_role.d["e"]']


def test_a_profile_that_is_none_is_named_with_those_that_are() -> None:
    with pytest.raises(CourseError, match="PROFILE=huge: choose one of learner, production"):
        Terraform(AWS, "huge")


def cloud(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "phase2_k8s_cicd.delivery.cloud", *words]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CLOUD_YES"))}
    return subprocess.run(
        command, env=clean | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("verb", ["up", "down"])
def test_nothing_is_made_or_deleted_where_nobody_can_be_asked(verb: str) -> None:
    done = cloud(verb, YES="1")  # exported for rollouts, say

    assert done.returncode == 1
    assert "CLOUD_YES=1" in done.stderr


def stand_in(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def test_a_missing_program_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    without_aws = cloud("plan", PATH=str(tmp_path))
    stand_in(tmp_path, "aws", "echo '\"me\"'")
    without_terraform = cloud("plan", PATH=str(tmp_path))

    assert "there is no aws on the PATH" in without_aws.stderr
    assert "there is no terraform on the PATH; install 1.11 or newer" in without_terraform.stderr


@pytest.mark.parametrize(
    ("says", "helps"),
    [
        ("could not connect to registry.terraform.io", "TF_CLI_ARGS_init=-plugin-dir"),
        ("Error acquiring the state lock", "force-unlock"),
        ("api error UnauthorizedOperation: You are not", "learner-policy.json"),
        ("Error: Backend configuration changed", "init -migrate-state"),
    ],
)
def test_a_failure_of_terraform_says_what_helps(tmp_path: Path, says: str, helps: str) -> None:
    stand_in(tmp_path, "aws", "echo '\"me\"'")
    stand_in(tmp_path, "terraform", f"echo '{says}' >&2; exit 1")

    done = cloud("plan", PATH=str(tmp_path))

    assert done.returncode == 1
    assert says in done.stderr
    assert helps in done.stderr


def test_who_is_nobody_to_aws_is_told_to_log_in(tmp_path: Path) -> None:
    stand_in(tmp_path, "aws", "echo 'Unable to locate credentials' >&2; exit 255")

    done = cloud("check", PATH=str(tmp_path))

    assert done.returncode == 1
    assert "aws sso login" in done.stderr


def test_a_log_group_that_eks_made_anew_is_left_with_the_command_that_deletes_it(tmp_path: Path) -> None:
    group = "/aws/eks/house-learner/cluster"
    stand_in(tmp_path, "aws", f"""case $2 in describe-log-groups) echo '["{group}"]' ;; *) echo '[]' ;; esac""")

    done = cloud("check", PATH=str(tmp_path))

    assert done.returncode == 1
    assert f"aws logs delete-log-group --region eu-west-1 --log-group-name {group}\n" in done.stderr
    assert "make cloud-down" not in done.stderr, "the state does not know it, and would send back to cloud-check"
