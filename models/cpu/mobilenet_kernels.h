// CPU loops of MobileNetV2, except its 1x1 convolutions, which are matrix products. float32,
// channels last, one image.
#ifndef STYLEX_MODELS_CPU_MOBILENET_KERNELS_H_
#define STYLEX_MODELS_CPU_MOBILENET_KERNELS_H_

#include <cstdint>

namespace stylex::kernels {

// A 3x3 convolution with a border of one zero pixel: out_side = (side + stride - 1) / stride.
struct Window {
  int64_t height = 0, width = 0, stride = 1;

  // Height of the output, padded by one on each side.
  int64_t out_height() const { return (height + stride - 1) / stride; }
  // Width of the output.
  int64_t out_width() const { return (width + stride - 1) / stride; }
};

// out [oh][ow][channels] = relu6(convolution of planes [in][height][width] + bias).
// weight: [in][9][channels].
void FirstConvolution(const float* planes, int64_t in, const Window& window, const float* weight,
                      const float* bias, int64_t channels, float* out);

// out [oh][ow][channels] = relu6(depthwise convolution of x [height][width][channels] + bias).
// weight: [9][channels].
void DepthwiseConvolution(const float* x, const Window& window, const float* weight,
                          const float* bias, int64_t channels, float* out);

// x [pixels][channels] = relu6(x + bias).
void AddBiasRelu6(const float* bias, int64_t pixels, int64_t channels, float* x);
// x [pixels][channels] += bias, and += residual, of the same shape, unless it is null.
void AddBias(const float* bias, const float* residual, int64_t pixels, int64_t channels, float* x);

// mean [channels] of x [pixels][channels].
void Mean(const float* x, int64_t pixels, int64_t channels, float* mean);

}  // namespace stylex::kernels

#endif  // STYLEX_MODELS_CPU_MOBILENET_KERNELS_H_
