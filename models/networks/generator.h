// The StyleGAN2 generator with its styles exposed (StyleSpace, Wu et al. 2021): affine layers turn
// a latent w into styles, and `synthesize` turns styles into images; counterfactuals are made by
// editing the styles in between.
//
// In a generator with components, `conv` holds coordinates along independent directions of w and
// `rgb` the remaining part of w (explain/components.h); together they are w in another basis, from
// which the channels' styles are computed during synthesis.
//
// Skip architecture: at each resolution 4, 8, 16, ... a to_rgb layer adds to the upsampled image of
// the resolution below. Convolution 0 works at 4x4; after it each resolution has an upsampling
// convolution and a plain one. Forward passes are thread-safe; modules are not modified by them.
#ifndef STYLEX_MODELS_NETWORKS_GENERATOR_H_
#define STYLEX_MODELS_NETWORKS_GENERATOR_H_

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <vector>

#include "models/networks/layers.h"
#include "stylex/v1/model_config.pb.h"

namespace stylex {

// Styles of N images. AttFind searches the columns of `conv`.
struct StyleVectors {
  torch::Tensor conv;  // [N, S]: layer after layer, channel-major within a layer
  torch::Tensor rgb;   // [N, R]

  // The images at positions `index`, int64 [M], in that order, as index_select does.
  StyleVectors Select(const torch::Tensor& index) const;
  // The images from `start`, as views.
  StyleVectors Narrow(int64_t start, int64_t length) const;
  // The styles of all parts (at least one), concatenated.
  static StyleVectors Concatenate(const std::vector<StyleVectors>& parts);
  // One image's styles (N = 1) repeated, without copying.
  StyleVectors Expand(int64_t n) const;
};

// Which layer each style coordinate belongs to. With components, there is one layer of each kind.
struct StyleLayout {
  std::vector<int64_t> conv;  // coordinates of each convolution
  std::vector<int64_t> rgb;   // styles of each to_rgb layer

  // Coordinates of all convolutions.
  int64_t num_conv() const;
  // Styles of all to_rgb layers.
  int64_t num_rgb() const;
  // 0 <= index < num_conv().
  int64_t LayerOf(int64_t index) const;
  // The coordinate's channel within its layer.
  int64_t ChannelOf(int64_t index) const;
  // First coordinate of a layer.
  int64_t Offset(int64_t layer) const;
};

// Added to the energy of a filter, of which the root is taken.
inline constexpr double kDemodulationEpsilon = 1e-8;

enum class Noise {
  kFixed,   // the checkpoint's noise images: for inference
  kRandom,  // fresh N(0, 1) from LibTorch's default generator: in training
};

// w in another basis: w = mean + c basis, c = (w - mean) readout, c the coordinates.
struct LatentBasis {
  torch::Tensor mean;     // [W]
  torch::Tensor basis;    // [W, W], one direction per row; searched ones first
  torch::Tensor readout;  // [W, W], its inverse
};

// Activations of one pass, from which later passes can start at any layer.
struct SynthesisTrace {
  std::vector<torch::Tensor> conv_input;  // input of convolution l: [N, C, H, W]
  std::vector<torch::Tensor> rgb;         // image after to_rgb layer j: [N, channels, H, W]
  torch::Tensor image;                    // [N, channels, R, R], not clamped
};

class GeneratorImpl : public torch::nn::Module {
 public:
  struct Conv {
    torch::Tensor weight;          // [out, in, 3, 3]
    torch::Tensor bias;            // [out]
    torch::Tensor noise_strength;  // []
    torch::Tensor noise;           // [1, 1, H, W], the fixed noise
    EqualLinear affine{nullptr};
    bool up = false;
  };
  struct ToRgb {
    torch::Tensor weight;  // [image_channels, in, 1, 1]
    torch::Tensor bias;    // [image_channels]
    EqualLinear affine{nullptr};
  };

  // `w_size`: latent and condition together.
  GeneratorImpl(const v1::GeneratorConfig& config, int64_t w_size, int64_t resolution,
                int64_t image_channels);

  // w: [N, w_size], or without components [N, num_latents(), w_size] with one latent a layer (path
  // length, mixing).
  StyleVectors styles(const torch::Tensor& w);
  // The styles of every layer's channels; equal to `styles` without components.
  StyleVectors ChannelStyles(const StyleVectors& styles) const;
  // -> [N, image_channels, R, R], not clamped (training uses raw values).
  torch::Tensor synthesize(const StyleVectors& styles, Noise noise);

  // As synthesize with fixed noise; keeps the activations that SynthesizeFrom needs.
  SynthesisTrace Trace(const StyleVectors& styles);
  // Images for `styles` [M], reusing the trace of an image (N = 1 or N = M) whose styles are the
  // same below convolution `layer`. Exact: everything that can differ is recomputed.
  torch::Tensor SynthesizeFrom(int64_t layer, const SynthesisTrace& trace,
                               const StyleVectors& styles);

  // Of the style coordinates that moves address.
  const StyleLayout& layout() const { return has_components() ? component_layout_ : channels_; }
  const StyleLayout& channel_layout() const { return channels_; }
  // Whether coordinates are directions of the latent instead of channels.
  bool has_components() const { return latent_basis_.mean.defined(); }
  // Its tensors may be modified in place as long as nobody has copied the weights (SynthesisPlan);
  // undefined without components.
  const LatentBasis& latent_basis() const { return latent_basis_; }
  // Number of latents that w may have: 2 log2(R) - 2.
  int64_t num_latents() const { return static_cast<int64_t>(channels_.conv.size()) + 1; }
  int64_t w_size() const { return w_size_; }

  const torch::Tensor& constant() const { return const_; }
  const std::vector<Conv>& convs() const { return convs_; }
  const std::vector<ToRgb>& to_rgbs() const { return to_rgbs_; }

 private:
  void AddConv(int64_t in, int64_t out, int64_t resolution, bool up, int64_t w_size);
  void AddToRgb(int64_t in, int64_t image_channels, int64_t w_size);
  torch::Tensor ApplyConv(const Conv& conv, const torch::Tensor& x, const torch::Tensor& style,
                          Noise noise) const;
  torch::Tensor ApplyToRgb(const ToRgb& to_rgb, const torch::Tensor& x, const torch::Tensor& style,
                           const torch::Tensor& image) const;
  // Runs convolutions from `first` on x; `image` is the image so far (undefined at the start).
  torch::Tensor Run(int64_t first, torch::Tensor x, torch::Tensor image, const StyleVectors& styles,
                    Noise noise, SynthesisTrace* trace) const;

  // The styles of w, before any change of basis.
  StyleVectors AffineStyles(const torch::Tensor& w) const;

  int64_t w_size_;
  StyleLayout channels_;
  StyleLayout component_layout_;
  LatentBasis latent_basis_;
  torch::Tensor const_;   // [1, C, 4, 4]
  torch::Tensor kernel_;  // FIR, [4, 4]
  std::vector<Conv> convs_;
  std::vector<ToRgb> to_rgbs_;
};
TORCH_MODULE(Generator);

}  // namespace stylex

#endif  // STYLEX_MODELS_NETWORKS_GENERATOR_H_
