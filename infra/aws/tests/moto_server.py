"""moto's server, with the one question that it lacks: has an update of nodes succeeded?"""

import json
import sys
from typing import Any

from moto.eks import urls
from moto.server import main


def describe_update(request: Any, full_url: str, headers: Any) -> tuple[int, dict[str, str], str]:
    """Say of each update that it has: moto changes things at once."""
    update = {"id": full_url.rpartition("/")[2], "status": "Successful", "type": "ConfigUpdate"}
    return 200, {"Content-Type": "application/json"}, json.dumps({"update": update})


urls.url_paths["{0}/clusters/(?P<name>[^/]+)/updates/(?P<update>[^/]+)$"] = describe_update
main(sys.argv[1:])
