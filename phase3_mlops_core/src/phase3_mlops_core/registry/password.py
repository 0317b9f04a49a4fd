"""The generated password of the MLflow server: made once, readable by its owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

FILE = "mlflow-password"


def generated_password(home: Path) -> str:
    """Read the password that was generated into `home`, or generate it; two that start at once agree on one."""
    home.mkdir(parents=True, exist_ok=True)
    file, draft = home / FILE, home / f".{FILE}-{os.getpid()}"
    if not file.exists():
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(18))
        try:
            os.link(draft, file)  # unlike a rename, it fails where another was quicker
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text()
