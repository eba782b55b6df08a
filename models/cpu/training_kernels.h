// What surrounds the convolutions of a training step, in as few passes over the activations as
// possible, forward and backward: scaling by styles, demodulation, noise, bias, leaky ReLU, the FIR
// filters and the layers that read or draw colours (StyleGAN2, Karras et al. 2020, §2.2 and
// appendix B).
//
// Every function processes one image, channels last ([y][x][channel]), so that callers spread the
// images of a batch over threads and sums never depend on how many there are. T is float or Bf16;
// arithmetic is in float32 either way, rounded once when it is written. Each is compiled for
// several instruction sets, of which the best is chosen at run time.
#ifndef STYLEX_MODELS_CPU_TRAINING_KERNELS_H_
#define STYLEX_MODELS_CPU_TRAINING_KERNELS_H_

#include <cstdint>

namespace stylex::kernels {

// The upper half of a float's bits.
struct Bf16 {
  uint16_t bits = 0;
};

// The weights of a convolution, [out][in][taps] in float32.
struct WeightShape {
  int64_t out = 0;
  int64_t in = 0;
  int64_t taps = 0;
};

// weights * scale, channels last: [out][taps][in], or `transposed` [in][taps][out].
template <typename T>
void CastWeights(const float* weights, const WeightShape& shape, double scale, bool transposed,
                 T* cast);
// The gradient of `weights` from that of the cast ones: gradient * scale, which is read as
// CastWeights wrote, plus 2 * weights * energy_gradient [out][in], unless that is null.
template <typename T>
void WeightGradient(const T* cast_gradient, const WeightShape& shape, double scale, bool transposed,
                    const float* weights, const float* energy_gradient, float* gradient);
// energy[out][in]: the sum of the squares over the taps.
void WeightEnergy(const float* weights, const WeightShape& shape, float* energy);

// y = x * style, per channel.
template <typename T>
void Modulate(const T* x, const float* style, int64_t pixels, int64_t channels, T* y);
// From the gradient of y, in place, that of x; `style_gradient` [channels].
template <typename T>
void ModulateBackward(const T* x, const float* style, int64_t pixels, int64_t channels, T* gradient,
                      float* style_gradient);

// What follows a modulated convolution: y = sqrt(2) leaky_relu(gain * z + bias + noise).
struct Styling {
  const float* gain = nullptr;   // [channels], the demodulation
  const float* bias = nullptr;   // [channels]
  const float* noise = nullptr;  // [pixels], or null
};
template <typename T>
void Style(const Styling& styling, int64_t pixels, int64_t channels, T* z_to_y);
// Filters z [side + 1][side + 1] with the FIR kernel, gain 4, before: y [side][side]. `scratch`:
// FilterScratch(side, channels) floats, here and below.
int64_t FilterScratch(int64_t side, int64_t channels);
template <typename T>
void UpFilterAndStyle(const T* z, const Styling& styling, int64_t side, int64_t channels,
                      float* scratch, T* y);
// The gradient through that filter: [side][side] to [side + 1][side + 1].
template <typename T>
void UpFilterBackward(const T* gradient, int64_t side, int64_t channels, float* scratch,
                      T* z_gradient);

// The way back through Style, and through a to_rgb layer that reads its result as well.
template <typename T>
struct StyleBackwardPass {
  Styling styling;
  const T* y = nullptr;
  const T* y_gradient = nullptr;
  int64_t pixels = 0;
  int64_t channels = 0;
  int64_t planes = 0;                     // 0, 1 or 3: of the image; 0: no to_rgb layer
  const float* image_gradient = nullptr;  // [planes][pixels]
  const float* rgb_weight = nullptr;      // [planes][channels], modulated
  // Results; the sums are added to.
  T* z_gradient = nullptr;
  float* bias_gradient = nullptr;        // [channels]
  float* activation_product = nullptr;   // [channels], of gradient and (gain * z + bias + noise)
  float* noise_product = nullptr;        // [channels], of gradient and noise; with noise
  float* noise_gradient = nullptr;       // [pixels]; with noise
  float* rgb_weight_gradient = nullptr;  // [planes][channels]
};
template <typename T>
void StyleBackward(const StyleBackwardPass<T>& pass);

// image[plane][pixel] += y . rgb_weight[plane], planes at most 3.
template <typename T>
void AddRgb(const T* y, const float* rgb_weight, int64_t pixels, int64_t channels, int64_t planes,
            float* image);

// A layer that reads colours: y = sqrt(2) leaky_relu(weight . image + bias). image
// [planes][pixels], weight [planes][channels].
struct RgbReader {
  const float* image = nullptr;
  const float* weight = nullptr;
  const float* bias = nullptr;
  int64_t pixels = 0;
  int64_t channels = 0;
  int64_t planes = 0;
};
template <typename T>
void FromRgb(const RgbReader& reader, T* y);
// Sums are added to; image_gradient [planes][pixels] may be null. `scratch`: channels floats.
template <typename T>
void FromRgbBackward(const RgbReader& reader, const T* y, const T* gradient, float* scratch,
                     float* weight_gradient, float* bias_gradient, float* image_gradient);

// The first half of a residual block: y [side + 1][side + 1] is sqrt(2) leaky_relu(z + bias),
// filtered.
template <typename T>
void ActivateAndFilter(const T* z, const float* bias, int64_t side, int64_t channels,
                       float* scratch, T* y);
// Writes the gradient of z; adds that of the bias.
template <typename T>
void ActivateAndFilterBackward(const T* gradient, const T* z, const float* bias, int64_t side,
                               int64_t channels, float* scratch, T* z_gradient,
                               float* bias_gradient);
// Its end: skip += leaky_relu(z + bias).
template <typename T>
void AddActivated(const T* z, const float* bias, int64_t pixels, int64_t channels, T* skip);
template <typename T>
void AddActivatedBackward(const T* gradient, const T* z, const float* bias, int64_t pixels,
                          int64_t channels, T* z_gradient, float* bias_gradient);

// Every second sample, along both axes, of x [side][side] filtered with [1, 3, 3, 1] / 8 * gain
// along each.
template <typename T>
void FilterDown(const T* x, int64_t side, int64_t channels, float gain, float* scratch, T* y);
// The transpose of FilterDown, added to y [side][side]. FirUpsample, when the gain is 2.
template <typename T>
void AddFilteredUp(const T* x, int64_t side, int64_t channels, float gain, float* scratch, T* y);

// The sum of |a - b|.
template <typename T>
float AbsoluteDifference(const T* a, const T* b, int64_t n);
// gradient = factor * sign(a - b).
template <typename T>
void AbsoluteDifferenceBackward(const T* a, const T* b, int64_t n, float factor, T* gradient);

// A step of Adam (Kingma and Ba 2015, algorithm 1), of n values.
struct AdamStep {
  float beta1 = 0;
  float beta2 = 0;
  float rate = 0;           // learning rate / (1 - beta1^t)
  float square_factor = 0;  // 1 / sqrt(1 - beta2^t)
  float epsilon = 0;
};
void StepAdam(const AdamStep& step, int64_t n, const float* gradient, float* mean, float* square,
              float* parameter);
// average += share * (latest - average), of n values.
void MoveTowards(const float* latest, float share, int64_t n, float* average);

}  // namespace stylex::kernels

#endif  // STYLEX_MODELS_CPU_TRAINING_KERNELS_H_
