"""The four verbs of the cloud: each says first what it would cost or change, and asks."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from phase1_docker_api.cli import Verbs
from phase1_docker_api.settings import load_settings

from phase2_k8s_cicd.delivery.cloud.costs import costs_of, read_prices, table
from phase2_k8s_cicd.delivery.cloud.remains import Account, what_is_left
from phase2_k8s_cicd.delivery.cloud.terraform import Terraform, resources_of
from phase2_k8s_cicd.errors import AlreadyThereError, ToolError
from phase2_k8s_cicd.settings import CloudSettings
from phase2_k8s_cicd.tools import ROOT

DAYS = 2  # that a stack is meant to live, unless it is told otherwise


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Make and take away infra/aws: a registry, a Kubernetes, and a way in for the pipeline.

    Exit codes: 0 done, 1 something is wrong (for check: something is left) and the message says what.
    """


# What an option does not say, the environment says: see CloudSettings.
profile_option = click.option("--profile", help="Which *.tfvars.  [env: PROFILE; default: learner]")
folder_option = click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=ROOT / "infra" / "aws",
    help="Where the Terraform is.",
)
yes_option = click.option("--yes", is_flag=True, default=None, help="Do not ask.  [env: CLOUD_YES]")
owner_option = click.option("--owner", help="Tag: who answers for it.  [env: OWNER; default: your user's name]")
expires_option = click.option(
    "--expires", help=f"Tag: after this day it may be deleted.  [env: EXPIRES; default: in {DAYS} days]"
)
api_option = click.option(
    "--api-cidrs", help="Who reaches the cluster's API: 203.0.113.7/32,… or `world` or `none`.  [env: API_CIDRS]"
)
github_option = click.option("--github", help="OWNER/NAME of the repository that deploys, or `none`.  [env: GITHUB]")


@cli.command()
@profile_option
@folder_option
@owner_option
@expires_option
@api_option
@github_option
def plan(folder: Path, **given: Any) -> None:
    """Say what would be made or changed, and what that costs; nothing is."""
    settings = _settings(given)
    _planned(Terraform(folder, settings.profile), settings)


@cli.command()
@profile_option
@folder_option
@owner_option
@expires_option
@api_option
@github_option
@yes_option
def up(folder: Path, **given: Any) -> None:
    """Make it, or bring it up to date; run it again if it was stopped halfway."""
    settings = _settings(given)
    _refuse_without_a_yes(settings)
    terraform = Terraform(folder, settings.profile)
    if _planned(terraform, settings):
        if not settings.yes:
            click.confirm("Do it, at this price?", abort=True)
        try:
            _apply(terraform)
        except AlreadyThereError as error:
            _adopt(terraform, error, settings)
            terraform.plan(_answers(terraform, settings))
            _apply(terraform)
    outputs = terraform.outputs()
    name, region, registry = outputs["cluster_name"], outputs["region"], outputs["registry"]
    click.echo(
        f"✓ {name} is up; it is meant to go by {outputs['answers']['expires']}:  make cloud-down\n"
        "→ next, to deploy to it from here:\n"
        f"  aws eks update-kubeconfig --region {region} --name {name} --alias {name}\n"
        f"  aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin "
        f"{registry.partition('/')[0]}\n"
        f"  make rollout OVERLAY=dev CONTEXT={name} REGISTRY={registry}"
    )
    if push_role := outputs.get("push_role_arn"):
        roles = {f"AWS_{name.upper()}_ROLE": arn for name, arn in outputs["deploy_role_arns"].items()}
        # The role that pushes comes last: from then on each push to the branch is deployed.
        variables = {
            "AWS_REGION": region,
            "AWS_CLUSTER": name,
            "AWS_REGISTRY": registry,
            **roles,
            **({"AWS_PLAN_ROLE": plan_role} if (plan_role := outputs.get("plan_role_arn")) else {}),
            "AWS_PUSH_ROLE": push_role,
        }
        click.echo(
            "→ and to let the pipeline do it, once the environments on GitHub say from which branch and with whose yes "
            "(docs/phase2/first-push.md):"
        )
        click.echo(f"  kubectl --context {name} apply -f infra/aws/deployers.yaml")
        click.echo("\n".join(f"  gh variable set {key} --body {value}" for key, value in variables.items()))


@cli.command()
@profile_option
@folder_option
@yes_option
def down(folder: Path, **given: Any) -> None:
    """Delete all of it; run it again if it was stopped halfway."""
    settings = _settings(given)
    _refuse_without_a_yes(settings)
    terraform = Terraform(folder, settings.profile)
    account = _say_where(terraform)
    terraform.prepare()
    if terraform.is_empty():
        click.echo(f"✓ the state of {settings.profile} knows of nothing; whether AWS agrees:  make cloud-check")
        return
    _refuse_elsewhere(terraform, account)
    _show_changes(terraform.plan(_answers(terraform, None), destroy=True))
    if not settings.yes:
        click.confirm("Delete all of this?", abort=True)
    _apply(terraform)
    click.echo(f"✓ {terraform.setting('name')} is deleted; that nothing is left shows:  make cloud-check")


@cli.command()
@profile_option
@folder_option
def check(folder: Path, **given: Any) -> None:
    """Ask AWS whether anything of it is left, whatever the state says; 1 when something is."""
    terraform = Terraform(folder, _settings(given).profile)
    account = _say_where(terraform)
    stack = terraform.setting("name")
    left = what_is_left(stack, account)
    for kind, name in left:
        click.echo(f"✗ {kind:<18} {name}")
    if left:
        # EKS that writes a last line makes its log group anew, without a tag: no state knows that one.
        groups = [
            f"\n  aws logs delete-log-group --region {account.region} --log-group-name {name}"
            for kind, name in left
            if kind == "log group"
        ]
        down = ["\n  make cloud-down   (and by hand what its state does not know)"] if len(groups) < len(left) else []
        raise click.ClickException(
            f"{len(left)} things of {stack} are in {account.region}; to delete them:{''.join(down + groups)}"
        )
    click.echo(f"✓ nothing of {stack} is left in {account.region}")


def _settings(given: Mapping[str, Any]) -> CloudSettings:
    """Read settings from the options that were given, else from the environment."""
    return load_settings(CloudSettings, **{name: value for name, value in given.items() if value is not None})


def _refuse_without_a_yes(settings: CloudSettings) -> None:
    if not settings.yes and not sys.stdin.isatty():
        raise click.ClickException(
            "there is nobody to ask here: look at  make cloud-plan  and say CLOUD_YES=1 if you mean it"
        )


def _say_where(terraform: Terraform) -> Account:
    account = Account(terraform.setting("region"))
    click.echo(f"• {terraform.setting('name')} in {account.region}, as {account.who}")
    return account


def _refuse_elsewhere(terraform: Terraform, account: Account) -> None:
    """Refuse another account or region than the state's: there Terraform finds nothing, and forgets what costs on."""
    made = terraform.outputs()
    if registry := made.get("registry"):
        home, who = registry.partition(".")[0], account.who
        if f":{home}:" not in who or made["region"] != account.region:
            raise click.ClickException(
                f"what was made is in {made['region']} of account {home}, and this is {account.region}, as {who}: "
                "log in there, and set the region back"
            )


def _planned(terraform: Terraform, settings: CloudSettings) -> bool:
    """Show what would change and what it then costs; say whether anything would."""
    account = _say_where(terraform)
    terraform.prepare()
    _refuse_elsewhere(terraform, account)
    answers = _answers(terraform, settings)
    click.echo(
        f"• owner {answers['owner']}, expires {answers['expires']}, the cluster's API is open to {_who(answers)}"
    )
    planned = terraform.plan(answers)
    changes = _show_changes(planned)
    prices = read_prices(terraform.folder / "prices.csv", terraform.setting("region"))
    click.echo(table(costs_of(planned, prices), prices))
    _show_infracost(terraform, planned)
    return changes


def _who(answers: Mapping[str, Any]) -> str:
    if answers["api_open_to_the_world"]:
        return "every address"
    return ", ".join(answers["api_cidrs"]) or "its own network only (API_CIDRS=…/32 to reach it from here)"


def _answers(terraform: Terraform, settings: CloudSettings | None) -> dict[str, Any]:
    """Answer as now told, else as when it was made, else by default: a second run then changes nothing by itself."""
    answers: dict[str, Any] = {
        "owner": re.sub(r"[^A-Za-z0-9._+@-]", "-", getpass.getuser()),
        "expires": str(dt.date.today() + dt.timedelta(days=DAYS)),
        "api_cidrs": [],
        "api_open_to_the_world": False,
        "github_repository": None,
    } | terraform.outputs().get("answers", {})
    if settings is None:
        return answers
    answers |= {name: value for name in ("owner", "expires") if (value := getattr(settings, name))}
    if cidrs := settings.api_cidrs:
        answers["api_open_to_the_world"] = cidrs == "world"
        answers["api_cidrs"] = [] if cidrs in ("world", "none") else [cidr.strip() for cidr in cidrs.split(",")]
    if repository := settings.github:
        answers["github_repository"] = None if repository == "none" else repository
    return answers


def _show_changes(planned: Mapping[str, Any]) -> bool:
    """Show a line for each kind of thing that would come, change or go; say whether there is any."""
    signs = {"create": "+", "update": "~", "delete": "-"}
    counted: Counter[tuple[str, str]] = Counter()
    for change in planned.get("resource_changes", []):
        actions = change["change"]["actions"]
        if change["mode"] == "managed" and actions[0] in signs:
            counted["/".join(signs[action] for action in actions), change["type"]] += 1
    for (sign, kind), number in sorted(counted.items()):
        click.echo(f"  {sign:<3} {number:>3} {kind}")
    # A changed output alone is not worth a question, but has to be kept too.
    outputs = any(change["actions"] != ["no-op"] for change in planned.get("output_changes", {}).values())
    if not counted:
        click.echo("  no changes: AWS has what this folder says")
    return bool(counted) or outputs


def _show_infracost(terraform: Terraform, planned: Mapping[str, Any]) -> None:
    """Let Infracost count too, where it is installed: it asks for today's prices."""
    if shutil.which("infracost") is None:
        return
    path = terraform.plan_file.with_suffix(".json")
    path.write_text(json.dumps(planned))
    click.echo("• Infracost says:")
    subprocess.run(["infracost", "breakdown", f"--path={path}"], check=False)  # noqa: S603, S607 - from the PATH


def _adopt(terraform: Terraform, error: AlreadyThereError, settings: CloudSettings) -> None:
    """Take what a run that was stopped has made into the state.

    Raises:
        AlreadyThereError: it is not this stack's.

    """
    answers, account = _answers(terraform, settings), Account(terraform.setting("region"))
    planned = terraform.plan(answers)["planned_values"]["root_module"]
    wanted = {each["address"]: each for each in resources_of(planned)}
    for address in error.addresses:
        name = account.name_for_import(wanted[address]["type"], wanted[address]["values"])
        if not terraform.adopt(address, name, answers):
            raise AlreadyThereError(f"{name} is there and is not of this stack\n{error}", error.addresses) from error
        click.echo(f"• {name} was there, made by a run that was stopped: it is in the state now")


def _apply(terraform: Terraform) -> None:
    try:
        terraform.apply()
    except AlreadyThereError:
        raise
    except ToolError as error:
        raise ToolError(
            f"{error}\n→ the state knows what was done so far: run the same again to go on, or  make cloud-down"
        ) from error
