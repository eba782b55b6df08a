// Fused generator loops that no library provides; each activation is read and written once. Plain
// C++ on the CPU: float32, channels last ([y][x][channel]), compiled for several instruction sets,
// of which the best is chosen at run time.
//
// All activations are a = leaky_relu(z, 0.2) without the generator's sqrt(2), which the callers
// fold into weights, gains and shifts (leaky_relu is positively homogeneous).
#ifndef STYLEX_MODELS_CPU_SYNTHESIS_KERNELS_H_
#define STYLEX_MODELS_CPU_SYNTHESIS_KERNELS_H_

#include <cstdint>

namespace stylex::kernels {

// x[i] = leaky_relu(x[i] + shift[i]) in place, n values.
void AddAndActivate(const float* shift, int64_t n, float* x);

// out[p][c] = x[p][c] * factor[c]
void ScaleChannels(const float* x, const float* factor, int64_t pixels, int64_t channels,
                   float* out);

// gain[o] = sqrt(2) / sqrt(sum over i of style[i]^2 energy[i][o] + epsilon): demodulation, and what
// the activation lacks. energy: [in][out].
void Demodulation(const float* style, const float* energy, int64_t in, int64_t out, float epsilon,
                  float* gain);

// x[p][c] = leaky_relu(gain[c] * x[p][c] + shift[p][c]) in place.
void ScaleAddAndActivate(const float* gain, const float* shift, int64_t pixels, int64_t channels,
                         float* x);

// The second half of an upsampling convolution, for one image. `columns` [side][side][9][channels],
// the result of a matrix product, is what each input pixel adds to the 3x3 neighbourhood around
// twice its position; it is summed up, filtered with the FIR kernel [1,3,3,1] (gain 4) and
// activated: out [2 side][2 side][channels] = leaky_relu(filtered + shift), or only filtered where
// shift is null. `scratch` holds UpFilterScratch(side, channels) floats.
int64_t UpFilterScratch(int64_t side, int64_t channels);
void UpFilterAndActivate(const float* columns, const float* shift, int64_t side, int64_t channels,
                         float* scratch, float* out);

// The 3x3 kernels [3][3][channels] of an upsampling convolution together with the FIR filter: one
// 3x3 kernel over the input for each of the four output pixels that belong to one input pixel,
// [2][2][3][3][channels].
void UpPhaseKernels(const float* kernel, int64_t channels, float* phases);

// One input channel of a convolution, whose style changes.
struct ChannelMove {
  const float* plane =
      nullptr;  // [side + 2][side + 2]: the channel's input, with a border of zeros
  const float* kernel = nullptr;  // [3][3][channels], or UpPhaseKernels' [2][2][3][3][channels]
  int64_t side = 0;               // of the input
  int64_t channels = 0;           // of the output
  bool up = false;
};
// One value of that style.
struct MovedOutput {
  const float* gain = nullptr;   // [channels]: d' / d
  const float* slope = nullptr;  // [channels]: sqrt(2) d' times the change of the style
  float* out = nullptr;          // [P][channels], P = side^2 or, up, 4 side^2
};
// out = leaky_relu(gain * base + slope * u + shift) for each of `count` outputs, where u is the
// convolution of the plane with the kernel, computed once for all of them. base, shift:
// [P][channels]; `scratch`: channels floats.
void MoveChannel(const ChannelMove& move, const float* base, const float* shift,
                 const MovedOutput* outputs, int64_t count, float* scratch);

// The to_rgb layer and the skip connection, for one image: out [side][side][planes] = x . weight +
// bias + twice-upsampled `below`. x: [side][side][channels], weight: [planes][channels], bias:
// [planes], below: [side / 2][side / 2][planes] or null.
void ToRgb(const float* x, const float* weight, const float* bias, const float* below, int64_t side,
           int64_t channels, int64_t planes, float* out);

}  // namespace stylex::kernels

#endif  // STYLEX_MODELS_CPU_SYNTHESIS_KERNELS_H_
