"""A device that is not here: rates by its datasheet, so that a plan for it can be made on any machine."""

from __future__ import annotations

from dataclasses import dataclass

from harness.instruments.datasheets import DATASHEETS

# What plans are modelled on where nothing else is said.
DEFAULT = "NVIDIA H100 80GB HBM3"
# Shares of the datasheet that large products and copies reach.
REACHED_PRODUCTS, REACHED_COPIES = 0.7, 0.85
# A tenth of what the device has is its context's, the libraries' and the display's.
FREE_SHARE = 0.9
MEMORY_BYTES = {DEFAULT: 80 * 2**30}


@dataclass(frozen=True)
class ModelledDevice:
    """A device's name, FLOP/s by dtype with B/s under "bytes", and free bytes; nothing of it was measured."""

    name: str
    rates: dict[str, float]
    free_bytes: int


def modelled_device(name: str = DEFAULT) -> ModelledDevice:
    """Return the model of a device that has a datasheet and a memory size here. Raises KeyError."""
    sheet = DATASHEETS[name]
    rates = {dtype: REACHED_PRODUCTS * rate for dtype, rate in sheet.matmul.items()}
    rates["bytes"] = REACHED_COPIES * sheet.bandwidth
    return ModelledDevice(name, rates, int(FREE_SHARE * MEMORY_BYTES[name]))
