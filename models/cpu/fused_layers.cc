#include "models/cpu/fused_layers.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "models/cpu/training_kernels.h"

namespace stylex {
namespace {

using kernels::Bf16;
using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// An input that may be left out.
using Maybe = c10::optional<Tensor>;

constexpr auto kChannelsLast = torch::MemoryFormat::ChannelsLast;
constexpr double kLeastEnergy = 1e-8;

template <typename T>
T* Data(const Tensor& tensor) {
  return static_cast<T*>(tensor.data_ptr());
}
float* Floats(const Tensor& tensor) { return tensor.data_ptr<float>(); }
// Null where there is no tensor.
float* FloatsOrNull(const Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

// Calls f with a value of the kernels' type for `type`.
template <typename F>
void OnType(torch::ScalarType type, const F& f) {
  TORCH_CHECK(type == torch::kFloat32 || type == torch::kBFloat16, "activations of type ", type);
  if (type == torch::kFloat32) {
    f(float{});
  } else {
    f(Bf16{});
  }
}

// f(image) for each image of a batch, on LibTorch's threads.
template <typename F>
void ForEachImage(int64_t n, const F& f) {
  at::parallel_for(0, n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t image = begin; image < end; ++image) {
      f(image);
    }
  });
}

Tensor Activations(at::IntArrayRef sizes, torch::ScalarType type) {
  return torch::empty(sizes, torch::TensorOptions(type).memory_format(kChannelsLast));
}

Tensor InLayout(const Tensor& x, torch::ScalarType type) {
  return x.to(type).contiguous(kChannelsLast);
}

int64_t Stride(const Tensor& tensor) { return tensor.numel() / tensor.size(0); }

void CheckFirstDerivative() {
  TORCH_CHECK(!at::GradMode::is_enabled(), "fused layers cannot be differentiated twice");
}

// The weights of a convolution of `type`, scaled. `transposed`: [in, out, k, k].
Tensor Cast(const Tensor& weight, double scale, bool transposed, torch::ScalarType type) {
  const Tensor from = weight.contiguous();
  std::vector<int64_t> sizes = weight.sizes().vec();
  if (transposed) {
    std::swap(sizes[0], sizes[1]);
  }
  const Tensor cast = Activations(sizes, type);
  OnType(type, [&](auto value) {
    using T = decltype(value);
    kernels::CastWeights(Floats(from),
                         {weight.size(0), weight.size(1), weight.size(2) * weight.size(3)}, scale,
                         transposed, Data<T>(cast));
  });
  return cast;
}

// The gradient of `weight` from that of its Cast. energy_gradient [out, in] may be undefined.
Tensor GradientOfCast(const Tensor& cast_gradient, const Tensor& weight, double scale,
                      bool transposed, const Tensor& energy_gradient) {
  const Tensor from = cast_gradient.contiguous(kChannelsLast);
  const Tensor weights = weight.contiguous();
  const Tensor gradient = torch::empty_like(weights);
  OnType(from.scalar_type(), [&](auto value) {
    using T = decltype(value);
    kernels::WeightGradient(
        Data<T>(from), {weight.size(0), weight.size(1), weight.size(2) * weight.size(3)}, scale,
        transposed, Floats(weights), FloatsOrNull(energy_gradient), Floats(gradient));
  });
  return gradient;
}

struct Geometry {
  int64_t stride;
  int64_t padding;
};

Tensor Convolve(const Tensor& x, const Tensor& weight, const Geometry& geometry) {
  return torch::conv2d(x, weight, {}, geometry.stride, geometry.padding).contiguous(kChannelsLast);
}

// The gradients of input and weight, as far as they are wanted.
std::array<Tensor, 2> ConvolveBackward(const Tensor& gradient, const Tensor& x,
                                       const Tensor& weight, const Geometry& geometry,
                                       std::array<bool, 2> wanted) {
  if (!wanted[0] && !wanted[1]) {
    return {};
  }
  const std::array<int64_t, 2> stride = {geometry.stride, geometry.stride};
  const std::array<int64_t, 2> padding = {geometry.padding, geometry.padding};
  const std::array<int64_t, 2> ones = {1, 1}, zeros = {0, 0};
  auto [of_x, of_weight, of_bias] =
      at::convolution_backward(gradient, x, weight, c10::nullopt, stride, padding, ones,
                               /*transposed=*/false, zeros, 1, {wanted[0], wanted[1], false});
  return {wanted[0] ? of_x.contiguous(kChannelsLast) : Tensor(), of_weight};
}

// A transposed convolution, of twice the size and one: what a convolution with stride 2 has as its
// gradient. LibTorch 1.13 has no fast one of its own. weight: [in, out, 3, 3].
constexpr Geometry kUp = {2, 0};
Tensor ConvolveUp(const Tensor& x, const Tensor& weight) {
  const Tensor shape = Activations(
      {x.size(0), weight.size(1), 2 * x.size(2) + 1, 2 * x.size(3) + 1}, x.scalar_type());
  return ConvolveBackward(x, shape, weight, kUp, {true, false})[0];
}

// [N, C] or [N, P, C], summed over the batch in its order.
Tensor OverBatch(const Tensor& sums) { return sums.sum(0); }

// --- The generator's convolution ---

double StyledScale(const Tensor& weight) {
  return 1 / std::sqrt(static_cast<double>(weight.size(1) * 9));
}

// Squared weights, summed over the taps and scaled: [out, in].
Tensor Energy(const Tensor& weight) {
  const Tensor weights = weight.contiguous();
  const Tensor energy = torch::empty({weight.size(0), weight.size(1)}, weights.options());
  kernels::WeightEnergy(Floats(weights), {weight.size(0), weight.size(1), 9}, Floats(energy));
  return energy.mul_(StyledScale(weight) * StyledScale(weight));
}

Tensor Modulated(const Tensor& x, const Tensor& style) {
  const Tensor y = Activations(x.sizes(), x.scalar_type());
  OnType(x.scalar_type(), [&](auto value) {
    using T = decltype(value);
    ForEachImage(x.size(0), [&](int64_t n) {
      kernels::Modulate(Data<T>(x) + n * Stride(x), Floats(style) + n * style.size(1),
                        x.size(2) * x.size(3), x.size(1), Data<T>(y) + n * Stride(x));
    });
  });
  return y;
}

kernels::Styling StylingOf(int64_t n, const Tensor& gain, const Tensor& bias, const Tensor& noise) {
  return {Floats(gain) + n * gain.size(1), Floats(bias),
          noise.defined() ? Floats(noise) + n * Stride(noise) : nullptr};
}

// Of z, the convolution's result, which it may overwrite.
Tensor Styled(const Tensor& z, bool up, const Tensor& gain, const Tensor& bias,
              const Tensor& noise) {
  const int64_t side = up ? z.size(2) - 1 : z.size(2), channels = z.size(1);
  const Tensor y = up ? Activations({z.size(0), channels, side, side}, z.scalar_type()) : z;
  OnType(z.scalar_type(), [&](auto value) {
    using T = decltype(value);
    ForEachImage(z.size(0), [&](int64_t n) {
      const kernels::Styling styling = StylingOf(n, gain, bias, noise);
      if (up) {
        std::vector<float> scratch(static_cast<size_t>(kernels::FilterScratch(side, channels)));
        kernels::UpFilterAndStyle(Data<T>(z) + n * Stride(z), styling, side, channels,
                                  scratch.data(), Data<T>(y) + n * Stride(y));
      } else {
        kernels::Style(styling, side * side, channels, Data<T>(y) + n * Stride(y));
      }
    });
  });
  return y;
}

// FirUpsample of an image, or zeros, plus the bias.
Tensor ImageBelow(const Tensor& below, const Tensor& bias, int64_t n, int64_t side) {
  const Tensor image = bias.view({1, -1, 1, 1}).expand({n, bias.size(0), side, side}).contiguous();
  if (below.defined()) {
    const Tensor from = below.contiguous();
    std::vector<float> scratch(static_cast<size_t>(kernels::FilterScratch(side, 1)));
    for (int64_t plane = 0; plane < n * bias.size(0); ++plane) {
      kernels::AddFilteredUp(Floats(from) + plane * side * side / 4, side, 1, 2.f, scratch.data(),
                             Floats(image) + plane * side * side);
    }
  }
  return image;
}

Tensor BelowGradient(const Tensor& image_gradient) {
  const int64_t side = image_gradient.size(2), planes = image_gradient.size(1);
  const Tensor gradient =
      torch::empty({image_gradient.size(0), planes, side / 2, side / 2}, image_gradient.options());
  std::vector<float> scratch(static_cast<size_t>(kernels::FilterScratch(side, 1)));
  for (int64_t plane = 0; plane < image_gradient.size(0) * planes; ++plane) {
    kernels::FilterDown(Floats(image_gradient) + plane * side * side, side, 1, 2.f, scratch.data(),
                        Floats(gradient) + plane * side * side / 4);
  }
  return gradient;
}

// What StyleBackward finds, for a batch; undefined where there is nothing.
struct StyleGradients {
  Tensor z, bias, gain, noise, rgb_weight;
};

struct SavedStyle {
  Tensor y, gain, bias, noise, rgb_weight;
};

StyleGradients BackThroughStyle(const SavedStyle& saved, const Tensor& y_gradient,
                                const Tensor& image_gradient) {
  const Tensor& y = saved.y;
  const int64_t n = y.size(0), channels = y.size(1), pixels = y.size(2) * y.size(3);
  const int64_t planes = image_gradient.defined() ? image_gradient.size(1) : 0;
  const Tensor bias = torch::zeros({n, channels}), products = torch::zeros({n, channels});
  const bool noisy = saved.noise.defined();
  const Tensor noise_products = noisy ? torch::zeros({n, channels}) : Tensor();
  StyleGradients result;
  result.z = Activations(y.sizes(), y.scalar_type());
  result.noise = noisy ? torch::zeros_like(saved.noise) : Tensor();
  result.rgb_weight = planes > 0 ? torch::zeros({n, planes, channels}) : Tensor();
  OnType(y.scalar_type(), [&](auto value) {
    using T = decltype(value);
    ForEachImage(n, [&](int64_t i) {
      kernels::StyleBackwardPass<T> pass;
      pass.styling = StylingOf(i, saved.gain, saved.bias, saved.noise);
      pass.y = Data<T>(y) + i * Stride(y);
      pass.y_gradient = Data<T>(y_gradient) + i * Stride(y);
      pass.pixels = pixels;
      pass.channels = channels;
      pass.planes = planes;
      pass.z_gradient = Data<T>(result.z) + i * Stride(y);
      pass.bias_gradient = Floats(bias) + i * channels;
      pass.activation_product = Floats(products) + i * channels;
      if (noisy) {
        pass.noise_product = Floats(noise_products) + i * channels;
        pass.noise_gradient = Floats(result.noise) + i * pixels;
      }
      if (planes > 0) {
        pass.image_gradient = Floats(image_gradient) + i * planes * pixels;
        pass.rgb_weight = Floats(saved.rgb_weight) + i * planes * channels;
        pass.rgb_weight_gradient = Floats(result.rgb_weight) + i * planes * channels;
      }
      kernels::StyleBackward(pass);
    });
  });
  // The activation before leaky_relu is gain * z + bias + noise; what its product with the gradient
  // has of gain * z, divided by gain, is the gain's gradient.
  const Tensor of_gain = products - bias * saved.bias;
  result.gain = (noisy ? of_gain - noise_products : of_gain) / saved.gain;
  result.bias = OverBatch(bias);
  return result;
}

Tensor BackThroughUpFilter(const Tensor& gradient) {
  const int64_t side = gradient.size(2), channels = gradient.size(1);
  const Tensor z =
      Activations({gradient.size(0), channels, side + 1, side + 1}, gradient.scalar_type());
  OnType(gradient.scalar_type(), [&](auto value) {
    using T = decltype(value);
    ForEachImage(gradient.size(0), [&](int64_t n) {
      std::vector<float> scratch(static_cast<size_t>(kernels::FilterScratch(side, channels)));
      kernels::UpFilterBackward(Data<T>(gradient) + n * Stride(gradient), side, channels,
                                scratch.data(), Data<T>(z) + n * Stride(z));
    });
  });
  return z;
}

// In place, the gradient of what Modulated made becomes that of x; returns that of the style.
Tensor BackThroughModulation(const Tensor& x, const Tensor& style, const Tensor& gradient) {
  const Tensor of_style = torch::empty_like(style);
  OnType(x.scalar_type(), [&](auto value) {
    using T = decltype(value);
    ForEachImage(x.size(0), [&](int64_t n) {
      kernels::ModulateBackward(Data<T>(x) + n * Stride(x), Floats(style) + n * style.size(1),
                                x.size(2) * x.size(3), x.size(1), Data<T>(gradient) + n * Stride(x),
                                Floats(of_style) + n * style.size(1));
    });
  });
  return of_style;
}

class StyledFunction : public torch::autograd::Function<StyledFunction> {
 public:
  static variable_list forward(AutogradContext* ctx, const Tensor& input, const Tensor& given_style,
                               const Tensor& weight, const Tensor& bias, const Maybe& given_noise,
                               const Maybe& rgb_weight, const Maybe& rgb_bias, const Maybe& below,
                               bool up) {
    const Tensor x = input.contiguous(kChannelsLast), style = given_style.contiguous();
    const Tensor noise = given_noise ? given_noise->contiguous() : Tensor();
    const Tensor cast = Cast(weight, StyledScale(weight), up, x.scalar_type());
    const Tensor modulated = Modulated(x, style);
    const Tensor gain = torch::rsqrt(torch::linear(style.square(), Energy(weight)) + kLeastEnergy);
    const Tensor z = up ? ConvolveUp(modulated, cast) : Convolve(modulated, cast, {1, 1});
    const Tensor y = Styled(z, up, gain, bias, noise);
    Tensor image, rgb;
    if (rgb_weight) {
      rgb = rgb_weight->contiguous();
      image = ImageBelow(below ? *below : Tensor(), *rgb_bias, y.size(0), y.size(2));
      AddColours(y, rgb, image);
    }
    ctx->save_for_backward({x, style, weight, bias, noise, rgb, modulated, cast, gain, y});
    ctx->saved_data["up"] = up;
    ctx->saved_data["below"] = below.has_value();
    ctx->set_materialize_grads(false);
    return image.defined() ? variable_list{y, image} : variable_list{y};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    CheckFirstDerivative();
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &style = saved[1], &weight = saved[2], &modulated = saved[6],
                 &cast = saved[7], &gain = saved[8], &y = saved[9];
    const bool up = ctx->saved_data["up"].toBool();
    const Tensor image_gradient = gradients.size() > 1 && gradients[1].defined()
                                      ? gradients[1].to(torch::kFloat32).contiguous()
                                      : Tensor();
    const Tensor y_gradient =
        gradients[0].defined() ? InLayout(gradients[0], y.scalar_type()) : torch::zeros_like(y);
    const StyleGradients styled =
        BackThroughStyle({y, gain, saved[3], saved[4], saved[5]}, y_gradient, image_gradient);
    Tensor x_gradient, cast_gradient;
    if (up) {
      const Tensor z = BackThroughUpFilter(styled.z);
      x_gradient = Convolve(z, cast, kUp);
      cast_gradient = ConvolveBackward(modulated, z, cast, kUp, {false, true})[1];
    } else {
      const auto both = ConvolveBackward(styled.z, modulated, cast, {1, 1}, {true, true});
      x_gradient = both[0];
      cast_gradient = both[1];
    }
    // gain = (style^2 energy^T + epsilon)^(-1/2)
    const Tensor squares_gradient = styled.gain * gain.pow(3) * -0.5;  // [N, out]
    const Tensor style_gradient = BackThroughModulation(x, style, x_gradient) +
                                  torch::matmul(squares_gradient, Energy(weight)) * style * 2;
    const double scale = StyledScale(weight);
    const Tensor energy_gradient =
        torch::matmul(squares_gradient.t(), style.square()).mul_(scale * scale);
    const bool image_below = image_gradient.defined() && ctx->saved_data["below"].toBool();
    return {x_gradient,
            style_gradient,
            GradientOfCast(cast_gradient, weight, scale, up, energy_gradient),
            styled.bias,
            styled.noise,
            styled.rgb_weight,
            image_gradient.defined() ? image_gradient.sum({0, 2, 3}) : Tensor(),
            image_below ? BelowGradient(image_gradient) : Tensor(),
            Tensor()};
  }

 private:
  static void AddColours(const Tensor& y, const Tensor& rgb_weight, const Tensor& image) {
    const int64_t planes = rgb_weight.size(1);
    TORCH_CHECK(planes == 1 || planes == 3, "an image of ", planes, " planes");
    OnType(y.scalar_type(), [&](auto value) {
      using T = decltype(value);
      ForEachImage(y.size(0), [&](int64_t n) {
        kernels::AddRgb(Data<T>(y) + n * Stride(y), Floats(rgb_weight) + n * Stride(rgb_weight),
                        y.size(2) * y.size(3), y.size(1), planes,
                        Floats(image) + n * Stride(image));
      });
    });
  }
};

// --- Encoder and discriminator ---

class ReadRgbFunction : public torch::autograd::Function<ReadRgbFunction> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& given, const Tensor& weight,
                        const Tensor& bias, bool rounded) {
    const Tensor images = given.to(torch::kFloat32).contiguous();
    // [planes][out], for the kernel.
    const Tensor scaled = (weight.flatten(1) * Scale(weight)).t().contiguous();
    const Tensor y = Activations({images.size(0), weight.size(0), images.size(2), images.size(3)},
                                 rounded ? torch::kBFloat16 : torch::kFloat32);
    OnType(y.scalar_type(), [&](auto value) {
      using T = decltype(value);
      ForEachImage(y.size(0), [&](int64_t n) {
        kernels::FromRgb(Reader(images, scaled, bias, n), Data<T>(y) + n * Stride(y));
      });
    });
    ctx->save_for_backward({images, scaled, bias, y});
    ctx->saved_data["images"] = given.requires_grad();
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    CheckFirstDerivative();
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &images = saved[0], &scaled = saved[1], &bias = saved[2], &y = saved[3];
    const int64_t n = y.size(0), channels = y.size(1);
    const Tensor gradient = InLayout(gradients[0], y.scalar_type());
    const Tensor weights = torch::zeros({n, scaled.size(0), channels});
    const Tensor biases = torch::zeros({n, channels});
    const Tensor of_images =
        ctx->saved_data["images"].toBool() ? torch::empty_like(images) : Tensor();
    OnType(y.scalar_type(), [&](auto value) {
      using T = decltype(value);
      ForEachImage(n, [&](int64_t i) {
        std::vector<float> scratch(static_cast<size_t>(channels));
        kernels::FromRgbBackward(
            Reader(images, scaled, bias, i), Data<T>(y) + i * Stride(y),
            Data<T>(gradient) + i * Stride(y), scratch.data(),
            Floats(weights) + i * Stride(weights), Floats(biases) + i * channels,
            of_images.defined() ? Floats(of_images) + i * Stride(images) : nullptr);
      });
    });
    const double scale = 1 / std::sqrt(static_cast<double>(scaled.size(0)));
    const Tensor weight = (OverBatch(weights).t() * scale).contiguous();
    return {of_images, weight.view({channels, scaled.size(0), 1, 1}), OverBatch(biases), Tensor()};
  }

 private:
  static double Scale(const Tensor& weight) {
    return 1 / std::sqrt(static_cast<double>(weight.size(1)));
  }
  static kernels::RgbReader Reader(const Tensor& images, const Tensor& scaled, const Tensor& bias,
                                   int64_t n) {
    return {Floats(images) + n * Stride(images), Floats(scaled), Floats(bias),
            images.size(2) * images.size(3),     scaled.size(1), images.size(1)};
  }
};

// Calls a kernel for each image of `shape` with scratch for the filters.
template <typename F>
void Filtering(const Tensor& shape, const F& f) {
  OnType(shape.scalar_type(), [&](auto value) {
    ForEachImage(shape.size(0), [&](int64_t n) {
      std::vector<float> scratch(
          static_cast<size_t>(kernels::FilterScratch(shape.size(2), shape.size(1))));
      f(value, n, scratch.data());
    });
  });
}

class ResidualFunction : public torch::autograd::Function<ResidualFunction> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& input, const Tensor& weight1,
                        const Tensor& bias1, const Tensor& weight2, const Tensor& bias2,
                        const Tensor& skip_weight) {
    const Tensor x = input.contiguous(kChannelsLast);
    const torch::ScalarType type = x.scalar_type();
    const int64_t n = x.size(0), in = x.size(1), side = x.size(2), out = weight2.size(0);
    const std::array<double, 3> scales = Scales(in);
    const Tensor cast1 = Cast(weight1, scales[0], false, type);
    const Tensor cast2 = Cast(weight2, scales[1], false, type);
    const Tensor cast_skip = Cast(skip_weight, scales[2], false, type);
    const Tensor z1 = Convolve(x, cast1, {1, 1});
    const Tensor filtered = Activations({n, in, side + 1, side + 1}, type);
    const Tensor small = Activations({n, in, side / 2, side / 2}, type);
    Filtering(x, [&](auto value, int64_t i, float* scratch) {
      using T = decltype(value);
      kernels::ActivateAndFilter(Data<T>(z1) + i * Stride(z1), Floats(bias1), side, in, scratch,
                                 Data<T>(filtered) + i * Stride(filtered));
      kernels::FilterDown(Data<T>(x) + i * Stride(x), side, in, 1.f, scratch,
                          Data<T>(small) + i * Stride(small));
    });
    const Tensor z2 = Convolve(filtered, cast2, {2, 0});
    const Tensor y = Convolve(small, cast_skip, {1, 0});
    OnType(type, [&](auto value) {
      using T = decltype(value);
      ForEachImage(n, [&](int64_t i) {
        kernels::AddActivated(Data<T>(z2) + i * Stride(y), Floats(bias2), side * side / 4, out,
                              Data<T>(y) + i * Stride(y));
      });
    });
    ctx->save_for_backward({x, z1, filtered, small, z2, cast1, cast2, cast_skip, bias1, bias2,
                            weight1, weight2, skip_weight});
    ctx->saved_data["input"] = input.requires_grad();
    ctx->saved_data["weights"] = weight1.requires_grad();
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    CheckFirstDerivative();
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &z1 = saved[1], &filtered = saved[2], &small = saved[3],
                 &z2 = saved[4], &bias1 = saved[8], &bias2 = saved[9];
    const bool to_input = ctx->saved_data["input"].toBool();
    const bool to_weights = ctx->saved_data["weights"].toBool();
    const int64_t n = x.size(0), in = x.size(1), side = x.size(2), out = z2.size(1);
    const Tensor gradient = InLayout(gradients[0], x.scalar_type());
    const Tensor biases1 = torch::zeros({n, in}), biases2 = torch::zeros({n, out});
    const Tensor of_z2 = Activations(z2.sizes(), x.scalar_type());
    OnType(x.scalar_type(), [&](auto value) {
      using T = decltype(value);
      ForEachImage(n, [&](int64_t i) {
        kernels::AddActivatedBackward(
            Data<T>(gradient) + i * Stride(z2), Data<T>(z2) + i * Stride(z2), Floats(bias2),
            side * side / 4, out, Data<T>(of_z2) + i * Stride(z2), Floats(biases2) + i * out);
      });
    });
    const auto by2 = ConvolveBackward(of_z2, filtered, saved[6], {2, 0}, {true, to_weights});
    const Tensor of_z1 = Activations(z1.sizes(), x.scalar_type());
    Filtering(x, [&](auto value, int64_t i, float* scratch) {
      using T = decltype(value);
      kernels::ActivateAndFilterBackward(
          Data<T>(by2[0]) + i * Stride(by2[0]), Data<T>(z1) + i * Stride(z1), Floats(bias1), side,
          in, scratch, Data<T>(of_z1) + i * Stride(z1), Floats(biases1) + i * in);
    });
    const auto by1 = ConvolveBackward(of_z1, x, saved[5], {1, 1}, {to_input, to_weights});
    const auto by_skip =
        ConvolveBackward(gradient, small, saved[7], {1, 0}, {to_input, to_weights});
    if (to_input) {
      Filtering(x, [&](auto value, int64_t i, float* scratch) {
        using T = decltype(value);
        kernels::AddFilteredUp(Data<T>(by_skip[0]) + i * Stride(small), side, in, 1.f, scratch,
                               Data<T>(by1[0]) + i * Stride(x));
      });
    }
    if (!to_weights) {
      return {by1[0], Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
    }
    const std::array<double, 3> scales = Scales(in);
    return {by1[0],
            GradientOfCast(by1[1], saved[10], scales[0], false, {}),
            OverBatch(biases1),
            GradientOfCast(by2[1], saved[11], scales[1], false, {}),
            OverBatch(biases2),
            GradientOfCast(by_skip[1], saved[12], scales[2], false, {})};
  }

 private:
  // Of the block's three convolutions. The sum's 1 / sqrt(2) is in the skip's weights; in the other
  // summand it cancels leaky_relu's sqrt(2).
  static std::array<double, 3> Scales(int64_t in) {
    const double inputs = static_cast<double>(in);
    return {1 / std::sqrt(9 * inputs), 1 / std::sqrt(9 * inputs),
            1 / (std::sqrt(inputs) * std::numbers::sqrt2)};
  }
};

class MeanDifferenceFunction : public torch::autograd::Function<MeanDifferenceFunction> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& a, const Tensor& b) {
    TORCH_CHECK(a.sizes() == b.sizes() && a.strides() == b.strides() &&
                    a.scalar_type() == b.scalar_type() && b.is_non_overlapping_and_dense(),
                "tensors of different shapes, layouts or types");
    const Tensor sums = torch::empty({a.size(0)});
    OnType(a.scalar_type(), [&](auto value) {
      using T = decltype(value);
      ForEachImage(a.size(0), [&](int64_t n) {
        Floats(sums)[n] = kernels::AbsoluteDifference(Data<T>(a) + n * Stride(a),
                                                      Data<T>(b) + n * Stride(b), Stride(a));
      });
    });
    ctx->save_for_backward({a, b});
    return sums.sum() / static_cast<double>(a.numel());
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    CheckFirstDerivative();
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &a = saved[0], &b = saved[1];
    const Tensor gradient = torch::empty_like(b);
    const float factor = gradients[0].item<float>() / static_cast<float>(a.numel());
    OnType(a.scalar_type(), [&](auto value) {
      using T = decltype(value);
      ForEachImage(a.size(0), [&](int64_t n) {
        kernels::AbsoluteDifferenceBackward(Data<T>(b) + n * Stride(b), Data<T>(a) + n * Stride(a),
                                            Stride(a), factor, Data<T>(gradient) + n * Stride(b));
      });
    });
    return {Tensor(), gradient};
  }
};

}  // namespace

StyledResult Apply(const StyledConvolution& layer, const Tensor& x) {
  const auto maybe = [](const Tensor& tensor) {
    return tensor.defined() ? Maybe(tensor) : Maybe();
  };
  const variable_list result = StyledFunction::apply(
      x, layer.style, layer.weight, layer.bias, maybe(layer.noise), maybe(layer.rgb_weight),
      maybe(layer.rgb_bias), maybe(layer.below), layer.up);
  return {result[0], result.size() > 1 ? result[1] : Tensor()};
}

Tensor ReadRgb(const Tensor& images, const Tensor& weight, const Tensor& bias,
               torch::ScalarType type) {
  return ReadRgbFunction::apply(images, weight, bias, type == torch::kBFloat16);
}

Tensor ResidualBlock(const Tensor& x, const ResidualWeights& weights) {
  return ResidualFunction::apply(x, weights.weight1, weights.bias1, weights.weight2, weights.bias2,
                                 weights.skip);
}

Tensor MeanAbsoluteDifference(const Tensor& a, const Tensor& b) {
  TORCH_CHECK(!a.requires_grad(), "the first tensor has no gradient here");
  return MeanDifferenceFunction::apply(a, b);
}

}  // namespace stylex
