"""What is left of a stack: AWS itself is asked, by tag and by name, and never the state, which may be lost or wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

from phase2_k8s_cicd.errors import MissingToolError, ToolError
from phase2_k8s_cicd.tools import run

ARNS = "ResourceTagMappingList[].ResourceARN"
# What is asked, and where in the answer the names are. By tag comes most of it; by name what AWS's index of tags leaves
# out, and the log group, which EKS makes anew, without a tag, when it writes one line too late.
LOOKS = {
    "tagged": ("resourcegroupstaggingapi get-resources --tag-filters Key=stack,Values={stack}", ARNS),
    # Load balancers and disks that Kubernetes made carry the cluster's name instead.
    "of Kubernetes": (
        "resourcegroupstaggingapi get-resources --tag-filters Key=kubernetes.io/cluster/{stack}",
        ARNS,
    ),
    "EKS cluster": ("eks list-clusters", "clusters[?@=='{stack}']"),
    "repository": ("ecr describe-repositories", "repositories[?starts_with(repositoryName, '{stack}/')].repositoryArn"),
    "log group": ("logs describe-log-groups --log-group-name-prefix /aws/eks/{stack}/", "logGroups[].logGroupName"),
    "role": ("iam list-roles", "Roles[?starts_with(RoleName, '{stack}-')].RoleName"),
    "alias of a key": ("kms list-aliases", "Aliases[?AliasName=='alias/{stack}'].AliasName"),
    "launch template": (
        "ec2 describe-launch-templates --filters Name=tag:stack,Values={stack}",
        "LaunchTemplates[].LaunchTemplateId",
    ),
}
# What is listed for a while after it has gone, and costs nothing then: how to ask for its state, and what that is.
FADING = {
    ":key/": ("kms describe-key --key-id {id}", "KeyMetadata.KeyState", "PendingDeletion"),
    ":instance/": (
        "ec2 describe-instances --instance-ids {id}",
        "Reservations[0].Instances[0].State.Name",
        "terminated",
    ),
    ":natgateway/": ("ec2 describe-nat-gateways --nat-gateway-ids {id}", "NatGateways[0].State", "deleted"),
}


class Account:
    """AWS as the AWS CLI sees it, in one region."""

    def __init__(self, region: str) -> None:
        self.region = region

    def ask(self, words: str, query: str) -> Any:
        """Ask one question; `query` picks the part of the answer (JMESPath)."""
        answer = run(["aws", *words.split(), f"--region={self.region}", f"--query={query}", "--output=json"])
        return json.loads(answer or "null")

    def name_for_import(self, kind: str, values: Mapping[str, Any]) -> str:
        """Give what `terraform import` calls a thing: its name, mostly."""
        if kind == "aws_launch_template":
            words = f"ec2 describe-launch-templates --launch-template-names {values['name']}"
            return str(self.ask(words, "LaunchTemplates[0].LaunchTemplateId"))
        if kind == "aws_iam_openid_connect_provider":
            arns = self.ask("iam list-open-id-connect-providers", "OpenIDConnectProviderList[].Arn")
            return next(str(arn) for arn in arns if arn.endswith(values["url"].removeprefix("https://")))
        return str(values["name"])

    @cached_property
    def who(self) -> str:
        """Name whom AWS takes us for.

        Raises:
            MissingToolError: there is no AWS CLI.
            ToolError: AWS does not know us.

        """
        try:
            return str(self.ask("sts get-caller-identity", "Arn"))
        except MissingToolError:
            raise
        except ToolError as error:
            raise ToolError(f"AWS does not know you; first:  aws sso login   or   aws configure\n{error}") from error


def what_is_left(stack: str, account: Account) -> list[tuple[str, str]]:
    """List what AWS still has of a stack, as (kind, name)."""
    with ThreadPoolExecutor(4) as threads:
        asked = {
            kind: threads.submit(account.ask, words.replace("{stack}", stack), query.replace("{stack}", stack))
            for kind, (words, query) in LOOKS.items()
        }
        provider = threads.submit(lambda: list(_identity_provider(stack, account)))
        found = [(kind, str(name)) for kind, answer in asked.items() for name in answer.result() or []]
        there = [(kind, name) for kind, name in found if not _has_gone(name, account)] + provider.result()
    # What was found by tag and by name is one thing.
    return [each for each in there if not any(name != each[1] and name.endswith(each[1]) for _, name in there)]


def _has_gone(name: str, account: Account) -> bool:
    for sign, (words, query, gone) in FADING.items():
        if sign in name:
            try:
                return bool(account.ask(words.replace("{id}", name.rpartition("/")[2]), query) == gone)
            except ToolError as error:
                return "NotFound" in str(error)
    return False


def _identity_provider(stack: str, account: Account) -> Iterator[tuple[str, str]]:
    """Give GitHub's identity provider if it carries our tag: an account has one only, maybe made for something else."""
    for arn in account.ask("iam list-open-id-connect-providers", "OpenIDConnectProviderList[].Arn") or []:
        words = f"iam list-open-id-connect-provider-tags --open-id-connect-provider-arn {arn}"
        if stack in (account.ask(words, "Tags[?Key=='stack'].Value") or []):
            yield "identity provider", arn
