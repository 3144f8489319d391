"""Quantization-aware training of activations (Jacob et al. 2018).

In int8 a ReLU6 keeps 256 values of 0..6. Rounding to them while training, gradients passing
as if nothing had been rounded, teaches the weights to bear it. Weights are not rounded: one
scale per channel costs them little.
"""

from typing import Any

import keras


@keras.saving.register_keras_serializable("emotion")
class FakeQuantizedReLU6(keras.layers.Layer):  # type: ignore[misc]
    """min(max(x, 0), 6), rounded to 8 bits."""

    def call(self, inputs: Any) -> Any:
        """Keep the shape; the rounding is computed in float32."""
        full = keras.ops.cast(keras.ops.relu6(inputs), "float32")
        rounded = keras.quantizers.fake_quant_with_min_max_vars(full, 0.0, 6.0)
        return keras.ops.cast(rounded, inputs.dtype)


def fake_quantized(model: keras.Model) -> keras.Model:
    """Return a copy whose ReLU6 activations round; its weights fit the original and back."""

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.layers.ReLU) and layer.max_value == 6:
            return FakeQuantizedReLU6(name=layer.name, dtype=layer.dtype_policy.name)
        return layer.__class__.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=copied, recursive=True)
    copy.set_weights(model.get_weights())
    return copy
