"""KServe's model of the service: the same pricing behind the protocols V1 and V2."""

from __future__ import annotations

from typing import Any

from kserve import InferOutput, InferRequest, InferResponse, Model
from phase1_docker_api.schemas import Fields
from phase1_docker_api.service.routes import Service

from phase3_mlops_core.service.payloads import houses_of_v1, houses_of_v2, input_types

VERSION_HEADER = "x-model-version"
# What an answer of the second protocol holds, and where it stands in an estimate.
OUTPUTS = ("price_usd", "low_usd", "high_usd")


class HousePredictor(Model):  # type: ignore[misc]  # KServe has no types
    """A model that KServe can list and ask; it is ready as long as the service is."""

    def __init__(self, name: str, service: Service) -> None:
        super().__init__(name, return_response_headers=True)
        self.service, self.ready = service, True

    async def healthy(self) -> bool:
        """Follow the service: not ready from the stop signal on."""
        return self.service.ready

    def get_input_types(self) -> list[dict[str, Any]]:
        """Describe the inputs of the second protocol."""
        return input_types()

    def get_output_types(self) -> list[dict[str, Any]]:
        """Describe its outputs, in USD."""
        return [{"name": name, "datatype": "FP64", "shape": [-1]} for name in OUTPUTS]

    async def predict(
        self,
        payload: dict[str, Any] | InferRequest,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> dict[str, Any] | InferResponse:
        """Price the houses of a parsed body of either protocol.

        Raises:
            RefusalError: 400 with each faulty field, 503 when too many requests wait.

        """
        request_id = (headers or {}).get("x-request-id", "")
        if response_headers is not None:
            response_headers[VERSION_HEADER] = self.service.pricing.card.model_version
        if isinstance(payload, InferRequest):
            answers = await self.price(houses_of_v2(_plain(payload)), request_id)
            outputs = [InferOutput(name, [len(answers)], "FP64", values) for name, values in _columns(answers).items()]
            return InferResponse(payload.id or "", self.name, outputs)
        if "inputs" in payload:
            return self.v2_answer(payload, await self.price(houses_of_v2(payload), request_id))
        return {"predictions": await self.price(houses_of_v1(payload), request_id)}

    async def price(self, houses: list[Fields], request_id: str) -> list[dict[str, Any]]:
        """Price checked houses: one with the single requests that wait, more in turns with them."""
        pricing = self.service.pricing
        if len(houses) == 1:
            return [await pricing.price_one_checked(houses[0], request_id)]
        async with pricing.batches.turn():
            return await pricing.price_checked(houses, request_id)

    def v2_answer(self, asked: dict[str, Any], answers: list[dict[str, Any]]) -> dict[str, Any]:
        """Give an answer of the second protocol as plain data."""
        outputs = [
            {"name": name, "shape": [len(answers)], "datatype": "FP64", "data": values}
            for name, values in _columns(answers).items()
        ]
        return {
            "model_name": self.name,
            "model_version": self.service.pricing.card.model_version,
            "id": str(asked.get("id") or ""),
            "outputs": outputs,
        }


def _columns(answers: list[dict[str, Any]]) -> dict[str, list[float]]:
    intervals = [answer["interval_usd"] for answer in answers]
    return {
        "price_usd": [answer["price_usd"] for answer in answers],
        "low_usd": [interval["low"] for interval in intervals],
        "high_usd": [interval["high"] for interval in intervals],
    }


def _plain(request: InferRequest) -> dict[str, Any]:
    """Give KServe's own request as the parsed body it came from."""
    inputs = [
        {
            "name": each.name,
            "shape": each.shape,
            "data": [value.decode() if isinstance(value, bytes) else value for value in each.data],
        }
        for each in request.inputs
    ]
    return {"id": request.id, "inputs": inputs}
