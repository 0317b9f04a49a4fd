"""Terraform for one profile: its folder, its workspace, and what its failures mean for whoever reads them."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from phase1_docker_api.errors import CourseError

from phase2_k8s_cicd.errors import AlreadyThereError, MissingToolError, ToolError
from phase2_k8s_cicd.tools import inherited, run

# What a failure says, and what helps.
CURES = {
    r"could not connect to registry|[Ff]ailed to query available provider|registry service is unreachable|no available "
    r"releases": "the AWS provider could not be fetched: is registry.terraform.io reachable from here (HTTPS_PROXY)? "
    "Where it never is, a folder that holds the provider does:  export TF_CLI_ARGS_init=-plugin-dir=FOLDER",
    r"-migrate-state|Backend configuration changed|Backend initialization required": "the state is to lie elsewhere "
    "now:  terraform -chdir=infra/aws init -migrate-state",
    r"No valid credential|ExpiredToken|InvalidClientTokenId|security token.*(invalid|expired)": "AWS does not take "
    "your credentials (any more):  aws sso login   or   aws configure",
    r"UnauthorizedOperation|AccessDenied|not authorized to perform": "your IAM user or role may not do this: it needs "
    "what infra/aws/learner-policy.json allows, and for a state in S3 what docs/phase2/cloud.md names",
    r"state lock": "somebody is at it, or was killed; when nobody is:  terraform -chdir=infra/aws force-unlock ID",
    r"AlreadyExists|already exists|already in use|InvalidSubnet.Conflict": "something of this name or range is there "
    "that the state does not know. Whether it is yours `make cloud-check` tells: then delete it, and run this again",
    r"DependencyViolation|has dependencies": "something that Terraform did not make is still in the network, a load "
    "balancer of Kubernetes' say. `make cloud-check` lists it: delete it, wait a minute, and run this again",
    r"VcpuLimitExceeded|Max spot instance count exceeded|InsufficientInstanceCapacity": "AWS has no such machine for "
    "you now: name more instance_types in the profile, or ask for a higher quota (docs/phase2/cloud.md)",
    r"Unsupported Terraform Core version": "Terraform is too old: https://developer.hashicorp.com/terraform/install",
}


# What a run that was stopped may have made without a trace in the state: an answer that came too late is lost.
THERE = re.compile(
    r"^Error: (?:(?!^Error: ).)*?(?:AlreadyExists|already exists|already in use).*?\n +with (\S+),\n", re.M | re.S
)


class Terraform:
    """Terraform in one folder, for one of its profiles; each profile has a state of its own, in its own workspace."""

    def __init__(self, folder: Path, profile: str) -> None:
        folder = folder.resolve()  # terraform is told paths from within it
        self.folder, self.profile = folder, profile
        self.settings = folder / f"{profile}.tfvars"
        self.plan_file = folder / ".terraform" / f"{profile}.tfplan"
        self._outputs: dict[str, Any] | None = None
        if not self.settings.is_file():
            known = ", ".join(sorted(path.stem for path in folder.glob("*.tfvars")))
            raise CourseError(f"PROFILE={profile}: choose one of {known}")

    def setting(self, name: str) -> str:
        """Read a text that the profile sets."""
        found = re.search(rf'^{name}\s*=\s*"([^"]*)"', self.settings.read_text(), re.MULTILINE)
        if found is None:
            raise CourseError(f'{self.settings.name} has no line  {name} = "…"')
        return found[1]

    def prepare(self) -> None:
        """Fetch the provider, and choose the profile's state.

        Raises:
            MissingToolError: there is no Terraform.
            ToolError: it is too old, or the provider cannot be fetched.

        """
        if shutil.which("terraform") is None:
            raise MissingToolError(
                "there is no terraform on the PATH; install 1.11 or newer: "
                "https://developer.hashicorp.com/terraform/install"
            )
        self._run("init", "-input=false")
        self._run("workspace", "select", "-or-create", self.profile)

    def outputs(self) -> dict[str, Any]:
        """Give what the stack tells about itself, since the last `apply`; nothing, when it was never finished."""
        if self._outputs is None:
            self._outputs = {name: each["value"] for name, each in json.loads(self._run("output", "-json")).items()}
        return self._outputs

    def is_empty(self) -> bool:
        """Say whether the state knows of nothing that was made."""
        return not [line for line in self._run("state", "list").splitlines() if ".data." not in f".{line}"]

    def adopt(self, address: str, name: str, answers: Mapping[str, Any]) -> bool:
        """Take what AWS has into the state, if it carries this stack's tag; say whether it does."""
        self._run("import", "-input=false", *self._variables(answers), address, name)
        state = json.loads(self._run("show", "-json"))["values"]["root_module"]
        (found,) = (each["values"] for each in resources_of(state) if each["address"] == address)
        if (found.get("tags_all") or {}).get("stack") == self.setting("name"):
            return True
        self._run("state", "rm", address)
        return False

    def plan(self, answers: Mapping[str, Any], destroy: bool = False) -> dict[str, Any]:
        """Make a plan, keep it for `apply`, and give it as JSON."""
        self._run(
            "plan",
            "-input=false",
            f"-out={self.plan_file}",
            *self._variables(answers),
            *(["-destroy"] if destroy else []),
        )
        plan: dict[str, Any] = json.loads(self._run("show", "-json", str(self.plan_file)))
        return plan

    def _variables(self, answers: Mapping[str, Any]) -> list[str]:
        return [
            f"-var-file={self.settings.name}",
            # To Terraform `null` on the command line is a text of four letters.
            *(f"-var={name}={_hcl(value)}" for name, value in answers.items() if value is not None),
        ]

    def apply(self) -> None:
        """Do what the last plan says, and show how it goes on.

        Ctrl-C reaches Terraform too, which ends what it has begun and keeps the state; nobody may kill it meanwhile.

        Raises:
            AlreadyThereError: something that it was to make is there already.
            ToolError: it failed; its last words say why, and the state knows what was done.

        """
        self._outputs = None
        words = ["terraform", f"-chdir={self.folder}", "apply", "-input=false", "-no-color", str(self.plan_file)]
        last: deque[str] = deque(maxlen=400)
        process = subprocess.Popen(  # noqa: S603 - terraform, from the PATH
            words,
            env=inherited(TF_IN_AUTOMATION="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

        def pass_on(number: int, _: FrameType | None) -> None:
            if number != signal.SIGINT:  # a terminal sends that one to Terraform itself
                process.terminate()

        heard = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            for line in process.stdout or ():
                last.append(line)
                print(f"  {line}", end="", flush=True)
            code = process.wait()
        finally:
            for number, handler in heard.items():
                signal.signal(number, handler)
        if code:
            message = _explained("terraform apply did not finish; the lines above say why", "".join(last))
            if there := THERE.findall("".join(last)):
                raise AlreadyThereError(message, there)
            raise ToolError(message)

    def _run(self, *words: str) -> str:
        try:
            return run(["terraform", f"-chdir={self.folder}", *words, "-no-color"])
        except ToolError as error:
            raise ToolError(_explained(str(error), str(error))) from error


def resources_of(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give what a module of Terraform's JSON manages, and those within it."""
    yield from (each for each in module.get("resources", []) if each["mode"] == "managed")
    for child in module.get("child_modules", []):
        yield from resources_of(child)


def _explained(message: str, words: str) -> str:
    """Add what helps, when the failure is a known one."""
    return next((f"{message}\n→ {cure}" for sign, cure in CURES.items() if re.search(sign, words)), message)


def _hcl(value: Any) -> str:
    """Write a value as -var takes it: a text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
