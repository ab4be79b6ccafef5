"""Device and precision of two evaluations: rounding alone can change answers."""

from __future__ import annotations

from registry.schemas import EvaluationRecordSchema

ROUNDING_ERRORS = {
    "float64": 2.0**-53,
    "float32": 2.0**-24,
    "tfloat32": 2.0**-11,
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
}
"""Precision -> largest relative error of rounding a number to it."""

MAX_ROUNDING_ERROR = 1e-6
"""Largest rounding error at which scores of different devices and precisions are compared."""


def rounding_error(a: EvaluationRecordSchema, b: EvaluationRecordSchema) -> float:
    """Return the larger rounding error of two evaluations.

    Returns:
        0 on the same device type in the same precision; infinity for a precision that is unknown.
    """
    if (a.device, a.precision) == (b.device, b.precision):
        return 0.0
    return max(ROUNDING_ERRORS.get(record.precision, float("inf")) for record in (a, b))


def describe_precision(record: EvaluationRecordSchema) -> str:
    """Return precision and device, such as `float32 on cpu`."""
    return f"{record.precision} on {record.device}"


def precision_warnings(
    a: tuple[str, EvaluationRecordSchema], b: tuple[str, EvaluationRecordSchema]
) -> tuple[str, ...]:
    """Return a line if two evaluations differ in device or precision.

    Args:
        a: label and record of one evaluation.
        b: label and record of the other.
    """
    if not rounding_error(a[1], b[1]):
        return ()
    return (
        f"{a[0]} was evaluated in {describe_precision(a[1])}, {b[0]} in "
        f"{describe_precision(b[1])}: rounding can change answers; evaluate both alike before a "
        "small difference decides",
    )
