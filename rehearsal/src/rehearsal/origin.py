"""The repository that is pushed to: what GitHub would hold, as a bare one on this computer."""

from __future__ import annotations

import getpass
from pathlib import Path
from tempfile import TemporaryDirectory

from phase1_docker_api.errors import CourseError
from phase2_k8s_cicd.errors import ToolError
from phase2_k8s_cicd.tools import run, succeeds

MAIN = "refs/heads/main"


class Origin:
    """A bare repository with one branch that matters."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Create it, unless it is there."""
        if not (self.path / "HEAD").exists():
            run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(self.path)])
            # A run fetches its own commit, which main may have left behind meanwhile.
            run(["git", "-C", str(self.path), "config", "uploadpack.allowReachableSHA1InWant", "true"])

    def main(self) -> str | None:
        """Name the commit that main is at, if there was a push."""
        command = ["git", "-C", str(self.path), "rev-parse", "--verify", "--quiet", MAIN]
        return run(command).strip() if succeeds(command) else None

    def push(self, commit: str) -> bool:
        """Push a commit to main; say whether that moved it, which it does not when main has the commit already.

        Raises:
            CourseError: main has commits that this one does not follow.

        """
        if self.main() and self.follows(MAIN, commit):
            return False
        try:
            run(["git", "push", "--quiet", str(self.path), f"{commit}:{MAIN}"])
        except ToolError as error:
            raise CourseError(
                f"main of {self.path} did not take {commit[:12]}, which does not follow what is there; merge "
                f"{(self.main() or '')[:12]} first, or begin anew:  make rehearse-down\n{error}"
            ) from error
        return True

    def follows(self, later: str, earlier: str) -> bool:
        """Say whether one commit came after another on a branch."""
        return succeeds(["git", "-C", str(self.path), "merge-base", "--is-ancestor", earlier, later])

    def keep(self, commit: str) -> None:
        """Let runs fetch a commit without a push to main."""
        run(["git", "push", "--quiet", "--force", str(self.path), f"{commit}:refs/heads/looked-at"])

    def commit_of(self, name: str) -> str:
        """Give the full name of one of our commits.

        Raises:
            CourseError: there is no such commit here.

        """
        command = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
        if not succeeds(command):
            raise CourseError(f"COMMIT={name}: git knows no such commit here")
        return run(command).strip()

    def commit_files(self) -> str:
        """Make a commit of the files as they lie in the folder, on top of HEAD and of main; no branch of ours moves."""
        with TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            run(["git", "read-tree", "HEAD"], environ=index)
            run(["git", "add", "--all"], environ=index)
            tree = run(["git", "write-tree"], environ=index).strip()
        parents = [run(["git", "rev-parse", "HEAD"]).strip()]
        if (there := self.main()) and there not in parents:
            run(["git", "fetch", "--quiet", str(self.path), MAIN])
            if not succeeds(["git", "merge-base", "--is-ancestor", there, parents[0]]):
                parents.append(there)
        who = getpass.getuser()
        by = {f"GIT_{role}_{what}": who for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        arguments = [word for parent in parents for word in ("-p", parent)]
        return run(["git", "commit-tree", tree, *arguments, "-m", "The files as they are"], environ=by).strip()
