// Private: the converters, by the file that holds them.
#pragma once
#include "onnx/conversion.h"

namespace presil::onnx {

// convert_elementwise.cc
Result<Tensors> convert_cast(Conversion& c);
Result<Tensors> convert_clip(Conversion& c);
Result<Tensors> convert_elu(Conversion& c);
Result<Tensors> convert_gelu(Conversion& c);
Result<Tensors> convert_hard_sigmoid(Conversion& c);
Result<Tensors> convert_hard_swish(Conversion& c);
Result<Tensors> convert_identity(Conversion& c);
Result<Tensors> convert_is_nan(Conversion& c);
Result<Tensors> convert_dropout(Conversion& c);
Result<Tensors> convert_leaky_relu(Conversion& c);
Result<Tensors> convert_max(Conversion& c);
Result<Tensors> convert_mean(Conversion& c);
Result<Tensors> convert_min(Conversion& c);
Result<Tensors> convert_mod(Conversion& c);
Result<Tensors> convert_pow(Conversion& c);
Result<Tensors> convert_prelu(Conversion& c);
Result<Tensors> convert_softsign(Conversion& c);
Result<Tensors> convert_sum(Conversion& c);
Result<Tensors> convert_where(Conversion& c);

template <ElementwiseFn fn>
Result<Tensors> convert_unary(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  return Tensors{TRY(c.builder.unary(fn, c.inputs[0]))};
}

template <ElementwiseFn fn>
Result<Tensors> convert_binary(Conversion& c) {
  TRY(c.want_inputs(2, 2));
  return Tensors{TRY(c.builder.binary(fn, c.inputs[0], c.inputs[1]))};
}

// convert_control.cc
Result<Tensors> convert_if(Conversion& c);
Result<Tensors> convert_loop(Conversion& c);
Result<Tensors> convert_scan(Conversion& c);

// convert_recurrent.cc
Result<Tensors> convert_gru(Conversion& c);
Result<Tensors> convert_lstm(Conversion& c);
Result<Tensors> convert_rnn(Conversion& c);

// convert_shape.cc
Result<Tensors> convert_concat(Conversion& c);
Result<Tensors> convert_constant(Conversion& c);
Result<Tensors> convert_constant_of_shape(Conversion& c);
Result<Tensors> convert_expand(Conversion& c);
Result<Tensors> convert_flatten(Conversion& c);
Result<Tensors> convert_range(Conversion& c);
Result<Tensors> convert_reshape(Conversion& c);
Result<Tensors> convert_shape(Conversion& c);
Result<Tensors> convert_size(Conversion& c);
Result<Tensors> convert_squeeze(Conversion& c);
Result<Tensors> convert_tile(Conversion& c);
Result<Tensors> convert_transpose(Conversion& c);
Result<Tensors> convert_trilu(Conversion& c);
Result<Tensors> convert_unsqueeze(Conversion& c);

// convert_index.cc
Result<Tensors> convert_gather(Conversion& c);
Result<Tensors> convert_pad(Conversion& c);
Result<Tensors> convert_resize(Conversion& c);
Result<Tensors> convert_slice(Conversion& c);
Result<Tensors> convert_split(Conversion& c);
Result<Tensors> convert_upsample(Conversion& c);

// convert_scatter.cc
Result<Tensors> convert_cum_sum(Conversion& c);
Result<Tensors> convert_scatter_elements(Conversion& c);
Result<Tensors> convert_scatter_nd(Conversion& c);

// convert_window.cc
Result<Tensors> convert_average_pool(Conversion& c);
Result<Tensors> convert_conv(Conversion& c);
Result<Tensors> convert_conv_transpose(Conversion& c);
Result<Tensors> convert_global_average_pool(Conversion& c);
Result<Tensors> convert_global_max_pool(Conversion& c);
Result<Tensors> convert_max_pool(Conversion& c);

// convert_quantize.cc
Result<Tensors> convert_conv_integer(Conversion& c);
Result<Tensors> convert_dequantize_linear(Conversion& c);
Result<Tensors> convert_dynamic_quantize_linear(Conversion& c);
Result<Tensors> convert_matmul_integer(Conversion& c);
Result<Tensors> convert_qlinear_conv(Conversion& c);
Result<Tensors> convert_qlinear_matmul(Conversion& c);
Result<Tensors> convert_quantize_linear(Conversion& c);

// Shared: the attributes of a convolution whose weight is input `weight`; a matrix product with numpy's rules for
// vectors.
Result<Attributes> conv_attributes(Conversion& c, size_t weight);
Result<TensorId> matrix_product(Conversion& c, TensorId left, TensorId right, const Attributes& attrs);

// convert_linear.cc
Result<Tensors> convert_batch_normalization(Conversion& c);
Result<Tensors> convert_gemm(Conversion& c);
Result<Tensors> convert_instance_normalization(Conversion& c);
Result<Tensors> convert_layer_normalization(Conversion& c);
Result<Tensors> convert_log_softmax(Conversion& c);
Result<Tensors> convert_matmul(Conversion& c);
Result<Tensors> convert_reduce_l1(Conversion& c);
Result<Tensors> convert_reduce_l2(Conversion& c);
Result<Tensors> convert_reduce_log_sum_exp(Conversion& c);
Result<Tensors> convert_reduce_max(Conversion& c);
Result<Tensors> convert_reduce_mean(Conversion& c);
Result<Tensors> convert_reduce_min(Conversion& c);
Result<Tensors> convert_reduce_prod(Conversion& c);
Result<Tensors> convert_reduce_sum(Conversion& c);
Result<Tensors> convert_reduce_sum_square(Conversion& c);
Result<Tensors> convert_softmax(Conversion& c);

}  // namespace presil::onnx
