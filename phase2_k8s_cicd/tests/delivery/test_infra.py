"""Room: cloud. Terraform's own tests, and both profiles really made and deleted, by the verbs, on moto in AWS's place.

`make test-infra` runs it, from infra/aws/test.sh, which puts what it needs in place.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from phase1_docker_api.service.launch import free_port

pytestmark = pytest.mark.infra
ROOT = Path(__file__).parents[3]
TOOLS = ROOT / ".tools/infra/bin"
PAGES = [(ROOT / "docs/phase2" / name).read_text() for name in ("cloud.md", "cloud.id.md")]
TESTS = sorted(path.name for path in (ROOT / "infra/aws/tests").glob("*.tftest.hcl"))
CLOUD = [sys.executable, "-m", "phase2_k8s_cicd.delivery.cloud"]
# moto's EKS knows neither; a person's own settings stay out of it.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_VAR_", "TF_WORKSPACE"))},
    "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "TF_VAR_addons": "[]",
    "TF_VAR_access_entries": "false",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of infra/aws, initialised, with what makes a second plan on moto empty."""
    copy = tmp_path / "aws"
    shutil.copytree(os.environ["INFRA_COPY"], copy, symlinks=True)
    shutil.copy(copy / "tests/moto_override.tf", copy / "modules/cluster")
    return copy


class Cloud:
    """The verbs in one folder, and the AWS that they speak to."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder
        self.environment = {
            **ENVIRONMENT,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "OWNER": "me",
            "EXPIRES": "2027-01-31",
            "API_CIDRS": "203.0.113.7/32",
            "GITHUB": "octocat/house-prices",
        }

    def command(self, verb: str, profile: str) -> list[str]:
        return [*CLOUD, verb, "--folder", str(self.folder), "--profile", profile]

    def __call__(self, verb: str, profile: str = "learner", code: int = 0, **given: str) -> str:
        """Run a verb, which must end with `code`; give what it printed."""
        if verb in ("up", "down"):
            given |= {"CLOUD_YES": "1"}
        done = subprocess.run(
            self.command(verb, profile),
            env=self.environment | given,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def aws(self, words: str) -> Any:
        command = ["aws", *words.split(), "--region=eu-west-1", "--output=json"]
        answer = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout
        return json.loads(answer or "null")

    def state(self, profile: str = "learner") -> list[dict[str, Any]]:
        """Every instance of a resource that the state knows, with its type."""
        path = self.folder / "terraform.tfstate.d" / profile / "terraform.tfstate"
        text = path.read_text() if path.exists() else ""
        resources = json.loads(text)["resources"] if text.endswith("}\n") else []  # just being written
        managed = [each for each in resources if each["mode"] == "managed"]
        return [{"type": each["type"], **one["attributes"]} for each in managed for one in each["instances"]]


@pytest.fixture
def cloud(folder: Path) -> Iterator[Cloud]:
    port = free_port()
    server = subprocess.Popen(
        [TOOLS / "python", ROOT / "infra/aws/tests/moto_server.py", "-H", "127.0.0.1", "-p", str(port)],
        env=ENVIRONMENT
        | {
            "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
            "MOTO_ENABLE_RECORDING": "true",
            "MOTO_RECORDER_FILEPATH": str(folder / "asked"),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    made = Cloud(folder, f"http://127.0.0.1:{port}")
    try:
        wait_until(
            lambda: (
                subprocess.run(["curl", "-sf", f"http://127.0.0.1:{port}/moto-api/"], capture_output=True).returncode
                == 0
            )
        )
        yield made
    finally:
        server.terminate()
        server.wait(timeout=20)


def actions(folder: Path) -> set[str]:
    """Every action that moto was asked for, as IAM names it; only the service where the request does not tell."""
    found = set()
    for line in (folder / "asked").read_text().splitlines():
        asked = json.loads(line)
        credential = re.search(r"Credential=[^/]+/\d+/[^/]+/([a-z0-9-]+)/", asked["headers"].get("Authorization", ""))
        if credential:
            service = {"tagging": "tag"}.get(credential[1], credential[1])
            action = re.search(r"(?:^|&)Action=(\w+)", base64.b64decode(asked["body"] or "").decode())
            found.add(f"{service}:{action[1] if action else '*'}")
    return found


def wait_until(true: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def terraform(folder: Path, *words: str, **environment: str) -> str:
    done = subprocess.run(
        ["terraform", f"-chdir={folder}", *words],
        env=environment or ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def costs(output: str) -> str:
    """The bill, without what depends on the plan around it."""
    found = re.search(r"^  USD .*?^  total[^\n]*$", output, re.MULTILINE | re.DOTALL)
    assert found, output
    return found[0]


def test_the_learners_cloud_is_made_changed_and_deleted(cloud: Cloud) -> None:
    made = cloud("up")

    assert "Apply complete! Resources: 39 added, 0 changed, 0 destroyed." in made
    assert all(costs(made) in page for page in PAGES), "the pages tell today's price"
    assert "no changes" in cloud("plan"), "a second plan finds nothing to do"

    settings = cloud.folder / "learner.tfvars"
    settings.write_text(re.sub(r"desired( *)= 2", r"desired\1= 3", settings.read_text()))
    changed = cloud("up", EXPIRES="2027-02-28")
    group = cloud.aws("eks describe-nodegroup --cluster-name house-learner --nodegroup-name main")["nodegroup"]
    (network,) = cloud.aws("ec2 describe-vpcs --filters Name=tag:stack,Values=house-learner")["Vpcs"]

    assert "3 × t3.medium" in costs(changed), "the price follows the plan"
    assert group["scalingConfig"]["desiredSize"] == 3
    assert {"Key": "expires", "Value": "2027-02-28"} in network["Tags"]
    assert "no changes" in cloud("plan", EXPIRES="", OWNER="", API_CIDRS="", GITHUB=""), (
        "what was answered stays answered"
    )

    learner = settings.read_text()
    settings.write_text(re.sub(r'region( *)= "[a-z0-9-]+"', r'region\1= "us-east-1"', learner))

    assert "what was made is in eu-west-1 of account" in cloud("down", code=1), "elsewhere it would only be forgotten"
    settings.write_text(learner)

    found = cloud("check", code=1)
    tagged = [each for each in cloud.state() if each.get("tags_all")]

    assert len(tagged) > 20
    # They go with the cluster and the network, which are named; AWS's index of tags has them, moto's has not.
    named = [each for each in tagged if each["type"] not in ("aws_eks_node_group", "aws_vpc_endpoint")]
    assert [each["type"] for each in named if each["id"] not in found] == []

    forgotten = cloud.aws(
        "ec2 create-vpc --cidr-block 10.9.0.0/16 --tag-specifications "
        "ResourceType=vpc,Tags=[{Key=stack,Value=house-learner}]"
    )["Vpc"]["VpcId"]
    cloud.aws("logs create-log-group --log-group-name /aws/eks/house-learner/cluster2")
    cloud("down")
    left = cloud("check", code=1)

    assert len(re.findall("^✗", left, re.MULTILINE)) == 2
    assert forgotten in left
    assert "/aws/eks/house-learner/cluster2" in left

    cloud.aws(f"ec2 delete-vpc --vpc-id {forgotten}")
    delete = "logs delete-log-group --region eu-west-1 --log-group-name /aws/eks/house-learner/cluster2"

    assert f"\n  aws {delete}\n" in left, "what no state knows is deleted by hand"
    cloud.aws(delete)

    assert "✓ nothing of house-learner is left" in cloud("check")

    policy = json.loads((ROOT / "infra/aws/learner-policy.json").read_text())
    allowed = {
        action
        for each in policy["Statement"]
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }
    asked = actions(cloud.folder)

    assert {"iam:CreateRole", "ec2:CreateVpc", "eks:*", "tag:*"} <= asked
    assert [
        each for each in sorted(asked) if not any(fnmatch(each, one) or fnmatch(one, each) for one in allowed)
    ] == []


# The order matters: each of the three workers first gets two tests, so that no two long ones stand side by side.
def test_it_is_in_terraforms_form(folder: Path) -> None:
    terraform(folder, "fmt", "-recursive", "-check", "-diff")


def test_the_production_cloud_is_made_changed_and_deleted_also_where_something_has_its_name(
    cloud: Cloud,
) -> None:
    trust = '{"Version":"2012-10-17","Statement":[]}'
    ours = "Key=stack,Value=house-production"
    cloud.aws(f"iam create-role --role-name house-production-push --assume-role-policy-document {trust}")
    cloud.aws(f"iam create-role --role-name house-production-node --assume-role-policy-document {trust} --tags {ours}")
    cloud.aws(f"ecr create-repository --repository-name house-production/rollcheck --tags {ours}")
    cloud.aws(
        "ec2 create-launch-template --launch-template-name house-production-node --launch-template-data {} "
        f"--tag-specifications ResourceType=launch-template,Tags=[{{{ours}}}]"
    )
    refused = cloud("up", "production", code=1)

    assert "house-production-push is there and is not of this stack" in refused

    cloud.aws("iam delete-role --role-name house-production-push")
    made = cloud("up", "production")
    gateways = cloud.aws("ec2 describe-nat-gateways")["NatGateways"]

    assert all(costs(made) in page for page in PAGES), "the pages tell today's price"
    assert len({each["SubnetId"] for each in gateways}) == 3, "each zone has its own way out"

    settings = cloud.folder / "production.tfvars"
    settings.write_text(re.sub(r"desired( *)= 3", r"desired\1= 4", settings.read_text()))
    changes = re.findall(r"^  [-+~/]+ +\d+ .*$", cloud("up", "production"), re.MULTILINE)

    assert changes == ["  ~     1 aws_eks_node_group"], "what was made needs no change else, and no machine is replaced"
    assert "no changes" in cloud("plan", "production")

    cloud("down", "production")

    assert "✓ nothing of house-production is left" in cloud("check", "production")
    assert "✓ the state of production knows of nothing" in cloud("down", "production")


def test_it_is_valid(folder: Path) -> None:
    terraform(folder, "validate", "-no-color")


def test_what_was_stopped_halfway_goes_on(cloud: Cloud) -> None:
    for verb, begun in (("up", lambda: len(cloud.state()) > 5), ("down", lambda: len(cloud.state()) < 30)):
        running = subprocess.Popen(
            cloud.command(verb, "learner"),
            env=cloud.environment | {"CLOUD_YES": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        wait_until(begun)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does at Ctrl-C
        said, _ = running.communicate(timeout=120)

        assert running.returncode == 1, said
        assert "run the same again to go on" in said

        cloud(verb)
        assert len(cloud.state()) == (39 if verb == "up" else 0)
    assert "✓ nothing of house-learner is left" in cloud("check")


@pytest.mark.parametrize("test", TESTS)
def test_what_the_modules_promise_holds(folder: Path, test: str) -> None:
    (folder / "modules/cluster/moto_override.tf").unlink()
    environment = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("TF_VAR_")}
    said = terraform(folder, "test", "-no-color", f"-filter=tests/{test}", **environment)

    assert re.search(r"^Success! [1-9]\d* passed, 0 failed\.$", said, re.MULTILINE), said
